"""Writing over HTTP: durable when answered, once for a key, refused where it must be."""

import gzip
import json
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from events.log.reader import open_reader
from events.schema import Fact
from projections.assembly import make_folds
from projections.engine.projector import Projector
from service.access.tokens import Scope, TokenStore
from tests.api_service import serving
from tests.writers import Writer

FACTS: Final = "/api/v1/facts"
BODY: Final[dict[str, Any]] = {
    "kind": "acme.deployed",
    "subject": {"type": "run", "task_id": "build", "run_id": "r1"},
    "payload": {"build": 17, "by": "bob@example.com"},
}


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Writer]:
    writer = Writer(tmp_path)
    yield writer
    writer.close()


@pytest.fixture
def client(writer: Writer) -> Iterator[httpx.Client]:
    with serving(writer.data) as client:
        yield client


def test_a_fact_is_durable_when_it_is_answered(writer: Writer, client: httpx.Client) -> None:
    """It stands at the position that the answer names, scrubbed, said by `local`."""
    answer = client.post(FACTS, json=BODY | {"time": "2027-01-15T08:00:00.000000001Z"})
    assert (answer.status_code, answer.json()["position"]) == (201, "1")
    assert answer.headers["spanledger-position"] == "1"
    (recorded,) = writer.stored()
    fact = recorded.event
    assert isinstance(fact, Fact)
    assert recorded.event_id.hex() == answer.json()["event_id"]
    assert (recorded.tenant, fact.actor, fact.version) == ("default", "local", 1)
    assert fact.time_ns == 1_800_000_000_000_000_001
    assert fact.payload == {"build": 17, "by": "[email]"}
    assert fact.idempotency_key == answer.json()["idempotency_key"]


def test_the_caller_reads_its_own_write(writer: Writer, client: httpx.Client) -> None:
    """The position serves as `min_position`; the live tail tells the fact."""
    position = client.post(FACTS, json=BODY).json()["position"]
    with closing(Projector(writer.data, lambda: open_reader(writer.data), make_folds)) as projector:
        while projector.step():
            pass
        answer = client.get("/api/v1/tasks", params={"min_position": position})
        assert (answer.status_code, answer.json()["position"]) == (200, position)
    query = {"after": 0, "kind": "acme.deployed", "task": "build"}
    with client.stream("GET", "/api/v1/events", params=query) as stream:
        data = next(line for line in stream.iter_lines() if line.startswith("data: "))
    assert json.loads(data[6:])["subject"] == BODY["subject"]


@pytest.mark.parametrize("key", ["k-1", '"k-1"'])
def test_a_repeat_is_answered_the_same(writer: Writer, client: httpx.Client, key: str) -> None:
    """Whoever got no answer sends it again; other facts in between change nothing."""
    headers = {"idempotency-key": key}
    first = client.post(FACTS, json=BODY, headers=headers)
    client.post(FACTS, json=BODY)
    again = client.post(FACTS, json=BODY, headers={"idempotency-key": "k-1"})
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert len(writer.facts()) == 2


def test_many_at_once_with_one_key_are_one(writer: Writer, client: httpx.Client) -> None:
    """All get the same answer."""

    def send(_: int) -> str:
        return client.post(FACTS, json=BODY, headers={"idempotency-key": "k"}).text

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(send, range(24)))) == 1
    assert len(writer.facts()) == 1


def test_a_key_that_means_something_else_is_a_conflict(
    writer: Writer, client: httpx.Client
) -> None:
    """The first fact stays, and the answer says where it is."""
    headers = {"idempotency-key": "k"}
    client.post(FACTS, json=BODY, headers=headers)
    answer = client.post(FACTS, json=BODY | {"payload": {"build": 18}}, headers=headers)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:spanledger:problem:idempotency-conflict"
    assert answer.json()["position"] == "1"
    assert [fact.payload["build"] for fact in writer.facts()] == [17]


def test_a_repeat_with_another_token_is_the_same_fact(writer: Writer, client: httpx.Client) -> None:
    """Tokens are rotated between a try and the next; the first one's name stays."""
    tokens = TokenStore(writer.data / "tokens.json")
    secrets = [tokens.add(name, "write") for name in ("deployer-1", "deployer-2")]
    headers = [{"idempotency-key": "k", "authorization": f"Bearer {secret}"} for secret in secrets]
    answers = [client.post(FACTS, json=BODY, headers=each) for each in headers]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    assert [fact.actor for fact in writer.facts()] == ["deployer-1"]


REPEATS: Final = [
    b'{"payload":{"n":2,"in":{"a":[1,2.5],"b":0}},"subject":{"type":"run","attempt":2},"kind":"a.b"}',
    b'{"kind":"a.b","subject":{"attempt":2.0,"type":"run"},"payload":{"in":{"b":-0.0,"a":[1e0,2.5]},'
    b'"n":2.0},"version":1.0}',
]


def test_a_repeat_may_be_written_otherwise(writer: Writer, client: httpx.Client) -> None:
    """Maps of JSON have no order, and some languages write whole numbers as doubles."""
    headers = {"idempotency-key": "k", "content-type": "application/json"}
    answers = [client.post(FACTS, content=body, headers=headers) for body in REPEATS]
    assert [answer.status_code for answer in answers] == [201, 201]
    (fact,) = writer.facts()
    assert fact.subject == {"type": "run", "attempt": 2}
    assert fact.payload == {"n": 2, "in": {"a": [1, 2.5], "b": 0}}


@pytest.mark.parametrize(
    ("coding", "body", "status"),
    [
        ("gzip", gzip.compress(json.dumps(BODY).encode()), 201),
        ("deflate", zlib.compress(json.dumps(BODY).encode()), 201),
        ("identity", json.dumps(BODY).encode(), 201),
        ("gzip", json.dumps(BODY).encode(), 400),
        ("br", json.dumps(BODY).encode(), 415),
        (
            "gzip",
            gzip.compress(json.dumps(BODY | {"payload": {"x": "y" * (64 << 10)}}).encode()),
            413,
        ),
        ("gzip", gzip.compress(bytes(1 << 24)), 413),
    ],
    ids=lambda value: None if isinstance(value, bytes) else str(value),
)
def test_a_body_may_be_compressed(
    writer: Writer, client: httpx.Client, coding: str, body: bytes, status: int
) -> None:
    """As for OTLP; what it holds is bounded, too."""
    headers = {"content-encoding": coding, "content-type": "application/json"}
    answer = client.post(FACTS, content=body, headers=headers)
    assert (answer.status_code, len(writer.stored())) == (status, status == 201)
    assert status == 201 or answer.headers["content-type"] == "application/problem+json"


SURROGATE: Final = '{"kind":"acme.x","subject":{"type":"run"},"payload":{"x":"\\ud800"}}'
DEEP: Final = '{"kind":"acme.x","subject":{"type":"run"},"payload":{"x":%s}}'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "body"),
        ("[1]", "body"),
        ("{", "body"),
        (b"\xff\xfe", "body"),
        (SURROGATE, "body"),
        (DEEP % ("[" * 30_000 + "]" * 30_000), "body"),
        (DEEP % ("[" * 20 + "]" * 20), "payload"),
        (DEEP % 2**64, "payload"),
        (DEEP % (-(2**63) - 1), "payload"),
        (DEEP % "1e999", "body"),
        (json.dumps({**BODY, "colour": 1}), "colour"),
        (json.dumps({"kind": "acme.x"}), "subject"),
        (json.dumps({**BODY, "kind": "deployed"}), "kind"),
        (json.dumps({**BODY, "kind": "spanledger.attempt_abandoned"}), "Spanledger's own"),
        (json.dumps({**BODY, "version": 0}), "version"),
        (json.dumps({**BODY, "time": "yesterday"}), "time"),
        (json.dumps({**BODY, "time": "1960-01-01T00:00:00Z"}), "1970"),
        (json.dumps({**BODY, "subject": {"task_id": "x"}}), "subject.type"),
        (json.dumps({**BODY, "subject": {"type": "run", "A b": "x"}}), "subject.A b"),
        (json.dumps({**BODY, "subject": {"type": "run", "n": 2**63}}), "subject.n"),
        (json.dumps({**BODY, "subject": {"type": "run", "n": True}}), "subject"),
        (json.dumps({**BODY, "subject": {"type": "run", "x": "y" * 1025}}), "subject.x"),
        (json.dumps({**BODY, "subject": {"type": "t", "trace_id": "xyz"}}), "subject.trace_id"),
        (json.dumps({**BODY, "subject": {f"a{n}": n for n in range(17)} | {"type": "t"}}), "17"),
    ],
)
def test_a_bad_fact_is_refused_and_named(
    writer: Writer, client: httpx.Client, content: str | bytes, told: str
) -> None:
    """The answer says which part is wrong; nothing is stored."""
    answer = client.post(FACTS, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    if told != "17":
        assert told in answer.text
    assert writer.stored() == []


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_bad_key_is_refused(writer: Writer, client: httpx.Client, key: str) -> None:
    """Too short or too long."""
    answer = client.post(FACTS, json=BODY, headers={"idempotency-key": key})
    assert (answer.status_code, "idempotency-key" in answer.text) == (400, True)
    assert writer.stored() == []


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json; charset=utf-8", 201),
        ("Application/JSON", 201),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("", 415),
    ],
)
def test_the_body_must_be_said_to_be_json(
    writer: Writer, client: httpx.Client, kind: str, status: int
) -> None:
    """A form of another site can send neither of the two that are taken."""
    answer = client.post(FACTS, content=json.dumps(BODY), headers={"content-type": kind})
    assert answer.status_code == status
    assert len(writer.stored()) == (status == 201)


def test_a_large_body_is_refused(writer: Writer, client: httpx.Client) -> None:
    """64 KiB are allowed."""
    answer = client.post(FACTS, json=BODY | {"payload": {"x": "y" * (64 << 10)}})
    assert answer.status_code == 413
    assert "65536 bytes" in answer.json()["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert writer.stored() == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://attacker.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_a_page_of_another_site_writes_nothing(
    writer: Writer, client: httpx.Client, headers: dict[str, str]
) -> None:
    """Also where no tokens are asked for."""
    answer = client.post(FACTS, json=BODY, headers=headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert writer.stored() == []


def test_our_own_page_and_allowed_ones_write(writer: Writer) -> None:
    """The origin is the one that the service is asked by, or one of `--cors-origins`."""
    with serving(writer.data, cors_origins=("https://ops.example",)) as client:
        own = str(client.base_url).rstrip("/")
        for origin in (own, "https://ops.example"):
            assert client.post(FACTS, json=BODY, headers={"origin": origin}).status_code == 201
        asked = {"origin": "https://ops.example", "access-control-request-method": "POST"}
        asked["access-control-request-headers"] = "content-type,idempotency-key"
        assert client.options(FACTS, headers=asked).status_code == 204


@pytest.mark.parametrize(
    ("scope", "writes", "reads"),
    [
        ("ingest", 403, 403), ("read", 403, 200), ("write", 201, 200), ("admin", 201, 200),
        (None, 401, 401),
    ],
)  # fmt: skip
def test_a_scope_is_needed(
    writer: Writer, client: httpx.Client, scope: Scope | None, writes: int, reads: int
) -> None:
    """`write` may write and read what became of it; the actor is the token's name."""
    tokens = TokenStore(writer.data / "tokens.json")
    tokens.add("other", "admin")
    secret = tokens.add("carol", scope) if scope else "none"
    headers = {"authorization": f"Bearer {secret}"}
    assert client.post(FACTS, json=BODY, headers=headers).status_code == writes
    assert client.get("/api/v1/log/head", headers=headers).status_code == reads
    assert [fact.actor for fact in writer.facts()] == ["carol"] * (writes == 201)


def test_a_write_is_the_tenants(writer: Writer, client: httpx.Client) -> None:
    """By the header, or by the token; one key serves each tenant by itself."""
    for tenant in ("a", "b"):
        headers = {"x-scope-orgid": tenant, "idempotency-key": "k"}
        assert client.post(FACTS, json=BODY, headers=headers).status_code == 201
    bound = TokenStore(writer.data / "tokens.json").add("t", "write", "c")
    headers = {"authorization": f"Bearer {bound}"}
    assert client.post(FACTS, json=BODY, headers=headers).status_code == 201
    foreign = client.post(FACTS, json=BODY, headers=headers | {"x-scope-orgid": "a"})
    assert foreign.status_code == 403
    assert [recorded.tenant for recorded in writer.stored()] == ["a", "b", "c"]


def test_without_a_writer_it_says_to_try_again(writer: Writer, client: httpx.Client) -> None:
    """And the same request succeeds once the writer is back."""
    writer.server.close()
    refused = client.post(FACTS, json=BODY)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    writer.listen_again()
    assert client.post(FACTS, json=BODY).status_code == 201


def test_unknown_parameters_are_refused(writer: Writer, client: httpx.Client) -> None:
    """As everywhere in the API; and what can only be written is not asked for with GET."""
    assert client.post(f"{FACTS}?dry_run=1", json=BODY).status_code == 400
    assert client.get(FACTS).status_code == 405
    assert writer.stored() == []
