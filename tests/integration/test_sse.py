"""The live tail: order, resume, filters, gaps, heartbeats and the end."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from events import names
from events.abandonment import Abandonment, fact_of
from events.log.door import GroupDoor
from events.names import TENANT_HEADER
from events.schema import AttemptAbandoned
from service.access.tokens import TokenStore
from service.api import feed
from service.api.server import ApiServer
from service.configuration.settings import Settings
from tests.api_service import everyone_answers
from tests.events import make_batch, make_fact, make_log, make_span, make_unknown, trace_id
from tests.serving import until

QUICK = "heartbeat_s=0.2"
MOST = 3
Message = dict[str, Any]


@pytest.fixture
def door(tmp_path: Path) -> Iterator[GroupDoor]:
    """The door of a log in the test's folder."""
    door = GroupDoor(tmp_path)
    yield door
    door.close()


@pytest.fixture
def server(tmp_path: Path, door: GroupDoor) -> Iterator[tuple[ApiServer, str]]:
    """The API on that log."""
    server = ApiServer(
        Settings(data=tmp_path, api_port=0, drain_s=5.0), TokenStore(tmp_path / "tokens.json"),
        probe=everyone_answers,
    )  # fmt: skip
    yield server, f"http://{server.start()}/api/v1/events"
    server.close()


@contextmanager
def listening(url: str, query: str = QUICK, **headers: str) -> Iterator[Iterator[Message]]:
    """The messages of a stream; comments come as `{"comment": …}`."""
    with (
        httpx.Client(timeout=20, trust_env=False) as client,
        client.stream("GET", f"{url}?{query}", headers=headers) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield messages(answer)


def messages(answer: httpx.Response) -> Iterator[Message]:
    """Server-sent events by the WHATWG rules, as far as they are used."""
    message: Message = {}
    for line in answer.iter_lines():
        if not line:
            if message:
                yield message
            message = {}
        elif line.startswith(":"):
            yield {"comment": line[1:].strip()}
        else:
            field, _, value = line.partition(": ")
            if field != "retry":
                message[field] = json.loads(value) if field == "data" else value


def until_silence(stream: Iterator[Message]) -> list[Message]:
    """The events up to the first heartbeat."""
    found = []
    for message in stream:
        if message.get("comment") == "heartbeat":
            return found
        found.append(message)
    raise AssertionError("the stream ended")


def test_events_come_in_order_with_their_position(
    door: GroupDoor, server: tuple[ApiServer, str]
) -> None:
    """What was appended before and after the stream began; the id is the position."""
    door.append(make_batch([make_span(), make_log(event_name="note")]))
    with listening(server[1], f"after=0&{QUICK}") as stream:
        first = until_silence(stream)
        door.append(make_batch([make_span(name="live")]))
        second = next(m for m in stream if "id" in m)
    assert [(m["event"], m["id"]) for m in first] == [("span", "1"), ("log", "2")]
    assert (second["id"], second["data"]["name"], second["data"]["position"]) == ("3", "live", "3")


def test_without_a_place_a_stream_starts_at_the_head(
    door: GroupDoor, server: tuple[ApiServer, str]
) -> None:
    """What was there before does not come."""
    door.append(make_batch([make_span()]))
    with listening(server[1]) as stream:
        assert until_silence(stream) == []
        door.append(make_batch([make_span()]))
        assert next(m for m in stream if "id" in m)["id"] == "2"


def test_a_client_resumes_where_it_was(door: GroupDoor, server: tuple[ApiServer, str]) -> None:
    """`Last-Event-ID` goes before `after`; the rest of a segment comes too."""
    door.append(make_batch([make_span() for _ in range(5)]))
    with listening(server[1], f"after=0&{QUICK}", **{"last-event-id": "3"}) as stream:
        assert [m["id"] for m in until_silence(stream)] == ["4", "5"]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("kind=span", ["1", "2"]),
        ("kind=log", ["3"]),
        ("kind=attempt_abandoned", ["4"]),
        ("task=a", ["1", "4"]),
        (f"trace={trace_id(1 << 43).hex()}", ["2"]),
        ("kind=log&task=a", []),
    ],
)
def test_filters(
    door: GroupDoor, server: tuple[ApiServer, str], query: str, ids: list[str]
) -> None:
    """By kind, task and trace, alone and together."""
    abandoned = AttemptAbandoned("id", "a", "r", b"\x01" * 16, b"\x01" * 8, 5, 4, b"\x02" * 16)
    spans = [make_span(task="a"), make_span(task="b", trace_id=trace_id(1 << 43)), make_log()]
    door.append(make_batch(spans))
    door.append(make_batch([abandoned]))
    with listening(server[1], f"after=0&{QUICK}&{query}") as stream:
        assert [m["id"] for m in until_silence(stream)] == ids


@pytest.mark.parametrize(("task", "ids"), [("42", ["1", "2"]), ("2.5", ["3"]), ("True", [])])
def test_a_task_may_be_named_by_a_number(
    door: GroupDoor, server: tuple[ApiServer, str], task: str, ids: list[str]
) -> None:
    """A numeric `task.id` is the same text here as in the views; true and false name no task."""
    values = [42, "42", 2.5, True]
    door.append(make_batch([make_span(attributes={names.TASK_ID: value}) for value in values]))
    with listening(server[1], f"after=0&{QUICK}&task={task}") as stream:
        assert [m["id"] for m in until_silence(stream)] == ids


def test_a_client_too_far_behind_is_told_what_it_missed(
    door: GroupDoor, server: tuple[ApiServer, str]
) -> None:
    """A gap names the positions; the newest events within the backlog follow."""
    door.append(make_batch([make_span() for _ in range(50)]))
    with listening(server[1], f"after=5&backlog=10&{QUICK}") as stream:
        gap, *rest = until_silence(stream)
    assert (gap["event"], gap["id"], gap["data"]) == ("gap", "40", {"from": "6", "to": "40"})
    assert [m["id"] for m in rest] == [str(n) for n in range(41, 51)]


def test_a_client_that_does_not_read_costs_nothing_and_gets_a_gap(
    door: GroupDoor, server: tuple[ApiServer, str]
) -> None:
    """While it sleeps the log grows beyond its backlog; nothing comes twice, all is accounted."""
    big = "x" * 20_000
    with listening(server[1], f"after=0&backlog=200&{QUICK}") as stream:
        assert until_silence(stream) == []
        for _ in range(20):
            door.append(make_batch([make_span(attributes={"text": big}) for _ in range(50)]))
        time.sleep(0.5)
        seen = 0
        while seen < 1000:  # a slow machine may be silent for a heartbeat in between
            message = next(stream)
            if "comment" in message:
                continue
            if message["event"] == "gap":
                assert message["data"]["from"] == str(seen + 1)
                seen = int(message["data"]["to"])
            else:
                seen += 1
                assert message["id"] == str(seen)
    assert seen == 1000


def test_many_events_of_one_segment_come_in_parts(
    door: GroupDoor, server: tuple[ApiServer, str]
) -> None:
    """A segment larger than one read is told whole and once."""
    door.append(make_batch([make_span() for _ in range(1200)]))
    with listening(server[1], f"after=100&{QUICK}") as stream:
        assert [int(m["id"]) for m in until_silence(stream)] == list(range(101, 1201))


def test_streams_end_first_when_the_service_drains(
    door: GroupDoor, server: tuple[ApiServer, str]
) -> None:
    """The stream ends by itself, at once, with a last word; nothing waits for the deadline."""
    with listening(server[1], "heartbeat_s=60") as stream:
        assert next(iter(()), None) is None
        threading.Timer(0.3, server[0].drain, (5.0,)).start()
        started_s = time.monotonic()
        assert [m["comment"] for m in stream] == ["closing"]
    server[0].close()
    assert time.monotonic() - started_s < 4


def test_streams_are_bounded_for_each_tenant(
    door: GroupDoor, server: tuple[ApiServer, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more than allowed is refused and told when to come again; other tenants have room."""
    monkeypatch.setattr(feed, "MOST_STREAMS", MOST + 1)
    monkeypatch.setattr(feed, "MOST_STREAMS_OF_A_TENANT", MOST)
    reading: list[Iterator[str]] = []
    with httpx.Client(timeout=20, trust_env=False) as client:

        def begin(tenant: str) -> httpx.Response:
            request = client.build_request("GET", server[1], headers={TENANT_HEADER: tenant})
            stream = client.send(request, stream=True)
            if stream.status_code == 200:
                reading.append(stream.iter_lines())
                next(reading[-1])  # a stream is counted once it has begun
            return stream

        streams = [begin("many") for _ in range(MOST)]
        assert {stream.status_code for stream in streams} == {200}
        refused = client.get(server[1], headers={TENANT_HEADER: "many"})
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "5")
        assert f"{MOST} streams of this tenant" in refused.json()["detail"]
        streams.append(begin("other"))
        assert streams[-1].status_code == 200
        refused = client.get(server[1])
        assert (refused.status_code, "of this tenant" in refused.text) == (429, False)
        for stream in streams:
            stream.close()
        until(lambda: begin("many").status_code == 200)


def test_streams_end_when_the_tokens_cannot_be_read(
    door: GroupDoor, server: tuple[ApiServer, str], tmp_path: Path
) -> None:
    """A token may have been revoked: within seconds the stream is over."""
    token = TokenStore(tmp_path / "tokens.json").add("a", "read")
    with listening(server[1], authorization=f"Bearer {token}") as stream:
        assert next(stream)
        (tmp_path / "tokens.json").write_text("{")
        started_s = time.monotonic()
        assert [m for m in stream if "comment" in m][-1]["comment"] == "closing"
    assert time.monotonic() - started_s < 10


def test_facts_and_strangers_are_told(door: GroupDoor, server: tuple[ApiServer, str]) -> None:
    """A fact comes with its envelope, an abandonment under its old name, a stranger by its tag."""
    lost = Abandonment("a1", "task-1", "r1", 3, b"\x01" * 16, b"", 10, 9, b"", 5)
    events = [make_unknown("span.v9"), make_fact(time_ns=0), fact_of(lost, "watcher")]
    door.append(make_batch(events, received_ns=1_800_000_000_000_000_000))
    with listening(server[1], f"after=0&{QUICK}") as stream:
        stranger, fact, abandoned = until_silence(stream)
    assert (stranger["event"], stranger["data"]["tag"]) == ("unknown", "span.v9")
    assert fact["event"] == "fact"
    assert fact["data"]["kind"] == "acme.deployed"
    assert fact["data"]["time"] == "2027-01-15T08:00:00Z"  # nobody said it: it is the arrival's
    assert fact["data"]["payload"] == {"build": 17, "notes": ["a", {"b": None}]}
    assert (abandoned["event"], abandoned["data"]["number"]) == ("attempt_abandoned", 3)
    with listening(server[1], f"after=0&{QUICK}&kind=acme.deployed&task=task-1") as stream:
        assert [m["id"] for m in until_silence(stream)] == ["2"]


def test_tenants_do_not_hear_each_other(door: GroupDoor, server: tuple[ApiServer, str]) -> None:
    """A stream tells of its own tenant, live too."""
    with listening(server[1], f"after=0&{QUICK}", **{names.TENANT_HEADER: "acme"}) as stream:
        door.append(make_batch([make_span()]))
        door.append(make_batch([make_span()], tenant="acme"))
        assert next(m for m in stream if "id" in m)["id"] == "2"
