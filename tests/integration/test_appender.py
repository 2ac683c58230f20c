"""Appending from anywhere: scrubbed, told apart, durable when it returns."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from events.errors import BadInput, Unavailable
from events.identity import Identity
from events.log.socket import DoorClient
from events.schema import Fact, LogRecord, Span
from service.append.appender import Appender, Entry
from service.configuration.settings import Settings
from tests.events import make_batch, make_context, make_fact, make_log, make_span
from tests.writers import Writer


class _Writer(Writer):
    """With an appender in what might be another process."""

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.appender = Appender(Settings(data=data), lambda: DoorClient(self.path))

    def close(self) -> None:
        self.appender.close()
        super().close()


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[_Writer]:
    writer = _Writer(tmp_path)
    yield writer
    writer.close()


def test_events_of_every_kind_are_stored_in_order(writer: _Writer) -> None:
    """In one commit, each for its tenant; the answer says where each stands."""
    span, log, fact, last = make_span(), make_log(), make_fact(), make_span()
    context = make_context()
    answer = writer.appender.append_all(
        [Entry("a", [span, fact, log], context), Entry("b", [last], context)]
    )
    assert (answer.stored, answer.positions) == (4, (1, 2, 3, 4))
    found = writer.stored()
    assert [r.event for r in found] == [span, fact, log, last]
    assert [r.tenant for r in found] == ["a", "a", "a", "b"]
    assert found[0].context == context
    assert len({r.committed_ns for r in found}) == 1


def test_a_span_is_one_event_whichever_way_it_comes(writer: _Writer) -> None:
    """By OTLP or by the appender: the id is the same, so the second is a duplicate."""
    span, context = make_span(), make_context()
    identity = Identity(writer.door.identity_key)
    writer.door.append(make_batch([make_span()], context=context, identity=identity))
    writer.door.append(make_batch([span], context=context, identity=identity))
    answer = writer.appender.append_all([Entry("default", [make_log(), span], context)])
    assert (answer.stored, answer.duplicates, answer.positions) == (1, 1, (3, 2))


@pytest.mark.parametrize("same", [True, False])
def test_a_key_makes_a_fact_one_fact(writer: _Writer, same: bool) -> None:
    """Sent again it stands where it stood; with other content it is a conflict, and not stored."""
    first = make_fact(idempotency_key="k")
    again = first if same else msgspec.structs.replace(first, payload={"build": 18})
    writer.appender.append("default", first)
    writer.appender.append("default", make_fact())
    answer = writer.appender.append("default", again)
    assert (answer.stored, answer.duplicates, answer.positions) == (0, 1, (1,))
    assert answer.conflicts == (not same)
    assert len(writer.stored()) == 2


def test_two_of_one_key_at_once_are_one(writer: _Writer) -> None:
    """Inside one batch as well as between batches."""
    fact = make_fact(idempotency_key="k")
    answer = writer.appender.append("default", fact, make_fact(), fact)
    assert (answer.stored, answer.duplicates, answer.positions) == (2, 1, (1, 2, 1))


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "acme.rolled_back"},
        {"subject": {"type": "run", "task_id": "task-1", "run_id": "r2"}},
        {"idempotency_key": "other"},
    ],
)
def test_a_key_counts_within_its_kind_and_subject(
    writer: _Writer, changes: dict[str, object]
) -> None:
    """And within its tenant; in another order, the subject is the same."""
    fact = make_fact(idempotency_key="k")
    writer.appender.append("default", fact)
    assert writer.appender.append("default", msgspec.structs.replace(fact, **changes)).stored == 1
    assert writer.appender.append("other", fact).stored == 1
    turned = msgspec.structs.replace(fact, subject=dict(reversed(fact.subject.items())))
    assert writer.appender.append("default", turned).duplicates == 1


def test_what_is_private_is_scrubbed(writer: _Writer) -> None:
    """In a payload by value and by key, at any depth; ids of the subject stay."""
    payload = {
        "note": "ask bob@example.com",
        "deep": [{"password": "hunter2", "n": 1}],
        "task.id": "job@example.com",
    }
    subject: dict[str, str | int] = {"type": "run", "task_id": "job@example.com"}
    span = make_span(attributes={"mail": "bob@example.com"})
    writer.appender.append("default", make_fact(payload=payload, subject=subject), span)
    fact, told = (recorded.event for recorded in writer.stored())
    assert isinstance(fact, Fact)
    assert fact.payload == {
        "note": "ask [email]",
        "deep": [{"password": "[password]", "n": 1}],
        "task.id": "job@example.com",
    }
    assert fact.subject == subject
    assert fact.scrubbed == ("email", "password")
    assert isinstance(told, Span)
    assert told.attributes["mail"] == "[email]"


def test_a_bad_event_refuses_all(writer: _Writer) -> None:
    """The caller is told which and why, and nothing is stored."""
    with pytest.raises(BadInput, match=r"span 'run'.*start_time_unix_nano is missing"):
        writer.appender.append("default", make_fact(), make_span(start_ns=0, end_ns=5))
    with pytest.raises(BadInput, match="no event"):
        writer.appender.append("default")
    assert writer.stored() == []


def test_identical_records_of_one_call_are_distinct(writer: _Writer) -> None:
    """As in one request by OTLP."""
    record = make_log(body="tick")
    assert writer.appender.append("default", record, record).stored == 2
    events = [recorded.event for recorded in writer.stored()]
    assert [e.ordinal for e in events if isinstance(e, LogRecord)] == [0, 1]


def test_without_a_writer_nothing_is_stored_and_later_it_is(writer: _Writer) -> None:
    """The same call succeeds once the writer is there, also after it was restarted."""
    writer.server.close()
    with pytest.raises(Unavailable):
        writer.appender.append("default", make_fact())
    for _ in range(2):
        writer.listen_again()
        assert writer.appender.append("default", make_fact()).stored == 1
        writer.server.close()
        with pytest.raises(Unavailable):
            writer.appender.append("default", make_fact())
