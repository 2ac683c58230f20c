"""MCP over streamable HTTP, with the official client, in one process."""

import json
import logging
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from events.metrics import MCP_CALLS
from service.access.tokens import TokenStore
from service.mcp.answering import TOOLS
from service.mcp.http import BODY_LIMIT_BYTES
from service.mcp.limits import Buckets
from tests.events import make_batch, make_exception, make_span
from tests.mcp_service import call, serving, talk
from tests.views import make_folder

HELLO = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A failure of the default tenant, a success of another."""
    return make_folder(
        tmp_path_factory.mktemp("mcp"),
        [
            make_batch([make_span(task="mine", status_code=2, events=[make_exception()])]),
            make_batch([make_span(task="theirs")], tenant="team-b"),
        ],
    )


@pytest.fixture(scope="module")
def url(data: Path) -> Iterator[str]:
    """MCP on that folder."""
    with serving(data, cors_origins=("http://tool.example",)) as address:
        yield address


def post(url: str, **headers: str) -> httpx.Response:
    """The answer to a ping with these headers."""
    with httpx.Client(trust_env=False) as client:
        sent = ACCEPT | {name.replace("_", "-"): value for name, value in headers.items()}
        return client.post(url, json=HELLO, headers=sent)


def test_a_call_has_a_bounded_size(url: str) -> None:
    """Else one client could fill the memory of the service."""
    ping = HELLO | {"params": {"_meta": {"filling": "x" * BODY_LIMIT_BYTES}}}
    with httpx.Client(trust_env=False) as client:
        answer = client.post(url, json=ping, headers=ACCEPT)
    assert answer.status_code == 413
    assert str(BODY_LIMIT_BYTES) in answer.json()["error"]["message"]
    assert post(url).status_code == 200


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_client_of_any_version_finds_and_calls_the_tools(url: str, mode: str) -> None:
    """Old and new clients list all tools, told to be read-only, and get the same answer."""

    async def saying(client: Client) -> Any:
        tools = (await client.list_tools()).tools
        result = await client.call_tool("tasks_last_failed", {"limit": 1})
        return client.instructions, tools, result

    instructions, tools, result = talk(url, saying, mode=mode)
    assert "tasks_last_failed" in instructions
    assert [tool.name for tool in tools] == list(TOOLS)
    assert all(tool.annotations.read_only_hint for tool in tools)
    assert not result.is_error
    assert json.loads(result.content[0].text) == result.structured_content
    assert result.structured_content["failures"][0]["task_id"] == "mine"


def test_a_client_learns_how_to_ask(url: str) -> None:
    """Resources are pages that name every tool, prompts are filled with what is given."""

    async def saying(client: Client) -> Any:
        pages = (await client.list_resources()).resources
        texts = [(await client.read_resource(page.uri)).contents[0].text for page in pages]
        prompts = (await client.list_prompts()).prompts
        filled = await client.get_prompt("debug_failure", {"task_id": "t-1"})
        return texts, prompts, filled.messages[0].content.text

    texts, prompts, filled = talk(url, saying)
    assert all(name in texts[0] for name in TOOLS)
    assert {prompt.name for prompt in prompts} == {"debug_failure", "choose_executor", "review"}
    assert "Task: t-1." in filled
    assert "{" not in filled
    assert "Run:" not in filled


@pytest.mark.parametrize(
    "saying",
    [
        lambda client: client.read_resource("spanledger://nothing"),
        lambda client: client.get_prompt("nothing"),
        lambda client: client.get_prompt("choose_executor"),
    ],
)
def test_what_is_not_there_is_refused_by_name(url: str, saying: Any) -> None:
    """Unknown resources and prompts, and prompts without their arguments, say what there is."""

    async def refused(client: Client) -> str:
        with pytest.raises(MCPError) as error:
            await saying(client)
        return str(error.value)

    told = talk(url, refused)
    assert ("nothing" in told and "there are" in told) or "needs task_id" in told


def test_a_wrong_call_is_an_answer_that_says_why(url: str) -> None:
    """A tool's refusal is a result with `is_error`, for the agent to read."""
    result = call(url, "tasks_list", limit=1000)
    assert result.is_error
    assert result.structured_content["error"] == "refused"
    assert "limit" in result.structured_content["message"]


def test_calls_are_counted_and_arguments_only_hashed(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Each call counts by tool and outcome; the log holds a hash, equal for equal arguments."""
    before = MCP_CALLS.labels("tasks_list", "not_found")._value.get()
    with caplog.at_level(logging.INFO, "service.mcp.server"):
        for task in ("secret-1", "secret-1", "secret-2"):
            call(url, "tasks_list", task_id=task)
    assert MCP_CALLS.labels("tasks_list", "not_found")._value.get() == before + 3
    told = [r for r in caplog.records if getattr(r, "action", "") == "mcp"]
    one, same, other = (record.arguments for record in told)  # type: ignore[attr-defined]
    assert one == same != other
    assert "secret" not in caplog.text + str([vars(record) for record in told])


def test_who_calls_too_often_is_told_to_wait(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the burst a call is refused, as an answer that tells the time to wait."""
    monkeypatch.setattr("service.mcp.transport.Buckets", partial(Buckets, 0.001, 2))
    with serving(data) as url:
        answers = [call(url, "tasks_list") for _ in range(3)]
    assert [answer.is_error for answer in answers] == [False, False, True]
    assert answers[2].structured_content["error"] == "unavailable"
    assert 0 < answers[2].structured_content["retry_after_s"] <= 1000


def test_only_posts_of_known_hosts_and_origins(url: str) -> None:
    """Foreign hosts and pages are refused, allowed pages are told so; GET has nothing to give."""
    assert post(url).status_code == 200
    assert post(url, host="rebound.example").status_code == 421
    refused = post(url, origin="http://evil.example")
    assert refused.status_code == 403
    assert "--cors-origins" in refused.json()["error"]["message"]
    assert "access-control-allow-origin" not in refused.headers
    allowed = post(url, origin="http://tool.example")
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "http://tool.example"
    with httpx.Client(trust_env=False) as client:
        assert client.get(url).status_code == 405
        assert client.get(url).headers["allow"] == "POST"
        missing = client.post(url.removesuffix("/mcp") + "/nothing", json=HELLO)
        assert missing.status_code == 404
        assert "/mcp" in missing.text
        preflight = client.options(url, headers={"origin": "http://tool.example"})
        assert preflight.status_code == 204
        assert "mcp-protocol-version" in preflight.headers["access-control-allow-headers"]
        assert client.options(url, headers={"origin": "http://evil.example"}).status_code == 403


def test_a_token_decides_whose_tasks_are_told(tmp_path: Path) -> None:
    """With tokens none is let in without; one of a tenant sees that tenant alone."""
    data = make_folder(
        tmp_path,
        [
            make_batch([make_span(task="mine")]),
            make_batch([make_span(task="theirs")], tenant="team-b"),
        ],
    )
    tokens = TokenStore(data / "tokens.json")
    reading = tokens.add("agent", "read")
    bound = tokens.add("team", "read", "team-b")
    sending = tokens.add("worker", "ingest")
    with serving(data) as url:
        assert post(url).status_code == 401
        assert post(url).headers["www-authenticate"] == "Bearer"
        assert post(url, authorization=f"Bearer {sending}").status_code == 403
        foreign = post(url, authorization=f"Bearer {bound}", x_scope_orgid="default")
        assert foreign.status_code == 403
        for token, tenant, task in (
            (reading, None, "mine"), (reading, "team-b", "theirs"), (bound, None, "theirs")
        ):  # fmt: skip
            headers = {"authorization": f"Bearer {token}"}
            headers |= {"x-scope-orgid": tenant} if tenant else {}
            told = call(url, "tasks_list", headers).structured_content
            assert [each["task_id"] for each in told["executions"]] == [task]
        tokens.revoke("agent")
        assert post(url, authorization=f"Bearer {reading}").status_code == 401
