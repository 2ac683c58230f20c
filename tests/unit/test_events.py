"""Stored events: their bytes are for good, and what nobody knows is carried."""

from typing import Final

import msgspec
import pytest

from events import codec, names
from events.abandonment import Abandonment, abandonment_of, fact_of
from events.kinds import is_fact_kind, is_of_kind, kind_of
from events.schema import (
    TAGS,
    AttemptAbandoned,
    Context,
    Event,
    Fact,
    LogRecord,
    Span,
    SpanEvent,
    SpanLink,
    Unknown,
)
from tests.events import make_fact, make_span, make_unknown

GOLDEN: Final[dict[str, tuple[Event, str]]] = {
    names.SPAN: (
        Span(
            b"\x01" * 16, b"\x02" * 8, b"\x03" * 8, "a=b", 1, "run", 1, 10, 20,
            {"k": [1, -1, 1.5, True, None, b"\x00", {"n": "v"}]}, 2,
            [SpanEvent(11, "exception", {"exception.type": "E"}, 0)], 3,
            [SpanLink(b"\x04" * 16, b"\x05" * 8, "", {}, 0, 1)], 4, 2, "bad", ("email",), ("name",),
        ),
        "dc0014a77370616e2e7631c41001010101010101010101010101010101c4080202020202020202c40803030303"
        "03030303a3613d6201a372756e010a1481a16b9701ffcb3ff8000000000000c3c0c4010081a16ea17602"
        "91940ba9657863657074696f6e81ae657863657074696f6e2e74797065a145000391"
        "96c41004040404040404040404040404040404c4080505050505050505a08000010402a362616491a5656d6169"
        "6c91a46e616d65",
    ),
    names.LOG_RECORD: (
        LogRecord(
            10, 11, 9, "INFO", "text", {"k": 1}, 0, 1, b"\x01" * 16, b"\x02" * 8, "note", 2,
            ("ip",), (),
        ),
        "9fa66c6f672e76310a0b09a4494e464fa47465787481a16b010001c41001010101010101010101010101010101"
        "c4080202020202020202a46e6f74650291a2697090",
    ),
    names.ATTEMPT_ABANDONED: (
        AttemptAbandoned("a1", "t", "r", b"\x01" * 16, b"\x02" * 8, 10, 9, b"\x03" * 16),
        "99b4617474656d70745f6162616e646f6e65642e7631a26131a174a172c4100101010101010101010101010101"
        "0101c40802020202020202020a09c41003030303030303030303030303030303",
    ),
    names.FACT: (
        Fact(
            "acme.deployed", 1, 10, {"type": "run", "attempt": 2}, "ci", "k-1", {"build": 17},
            ("email",),
        ),
        "99a7666163742e7631ad61636d652e6465706c6f796564010a82a474797065a372756ea7617474656d707402"
        "a26369a36b2d3181a56275696c641191a5656d61696c",
    ),
}  # fmt: skip


@pytest.mark.parametrize("tag", sorted(TAGS))
def test_stored_bytes_never_change(tag: str) -> None:
    """The bytes of every tag are those that were written first, and read back as the same."""
    event, stored = GOLDEN[tag]
    assert codec.encode_event(event).hex() == stored
    assert codec.decode_event(bytes.fromhex(stored)) == event


def test_a_context_is_stored_as_it_always_was() -> None:
    """Its bytes are for good, too."""
    context = Context({"service.name": "shop"}, scope_name="s", scrubbed=("ip",))
    assert codec.encode_context(context).hex() == "9b81ac736572766963652e6e616d65a473686f700090a0a173a08000a091a2697090"  # noqa: E501  # fmt: skip


@pytest.mark.parametrize("tag", ["span.v9", "span.v10", "attempt_abandoned.v9", "acme", ""])
def test_an_unknown_tag_is_carried_byte_by_byte(tag: str) -> None:
    """Alone and among others it is read as unknown, and written as it was."""
    unknown, span = make_unknown(tag), make_span()
    row = codec.encode_event(unknown)
    assert codec.decode_event(row) == unknown
    rows = [codec.encode_event(span), row, codec.encode_event(make_fact())]
    content = codec.encode_blocks([("t", 5, codec.encode_context(Context()), rows)])
    (block,) = codec.decode_blocks(content)
    assert [codec.encode_event(event) for event in block.events] == rows
    assert (block.tenant, block.received_ns, block.events[0]) == ("t", 5, span)


def test_a_field_that_a_newer_release_added_is_no_hindrance() -> None:
    """Fields are only ever added at the end: who does not know them reads the rest."""
    for event, stored in GOLDEN.values():
        fields = msgspec.msgpack.decode(bytes.fromhex(stored))
        longer = msgspec.msgpack.encode([*fields, {"new": 1}, 2])
        assert codec.decode_event(longer) == event


@pytest.mark.parametrize(
    "row", [["span.v1", 7], ["fact.v1", "acme.x"], [7, "span.v9"], {"tag": "span.v9"}, "span.v9"]
)
def test_a_broken_event_is_not_an_unknown_one(row: object) -> None:
    """A known tag with wrong fields, and what does not begin with a tag, are damage."""
    with pytest.raises(msgspec.MsgspecError):
        codec.decode_event(msgspec.msgpack.encode(row))


LOST = Abandonment("a1", "t", "r", 3, b"\x01" * 16, b"\x02" * 8, 10, 9, b"\x03" * 16, 5)


@pytest.mark.parametrize("lost", [LOST, LOST._replace(trace_id=b"", span_id=b"")])
def test_an_abandonment_is_a_fact_that_reads_back(lost: Abandonment) -> None:
    """Everything known of it stands in the envelope."""
    fact = fact_of(lost, "watcher")
    assert abandonment_of(codec.decode_event(codec.encode_event(fact))) == lost
    assert (kind_of(fact), fact.actor) == ("attempt_abandoned", "watcher")


def test_an_abandonment_of_an_older_release_is_the_same() -> None:
    """It did not say the number, nor how much was known."""
    event, _ = GOLDEN[names.ATTEMPT_ABANDONED]
    assert abandonment_of(event) == Abandonment(
        "a1", "t", "r", 0, b"\x01" * 16, b"\x02" * 8, 10, 9, b"\x03" * 16, 0
    )


def test_an_abandonment_of_a_newer_release_is_skipped() -> None:
    """Nobody knows what the next version of it will mean; it is shown as a fact."""
    newer = msgspec.structs.replace(fact_of(LOST, "watcher"), version=2)
    assert abandonment_of(newer) is None
    assert kind_of(newer) == "fact"


@pytest.mark.parametrize(
    ("event", "kinds"),
    [
        (make_span(), {"span"}),
        (make_fact(), {"fact", "acme.deployed"}),
        (fact_of(LOST, "w"), {"fact", "attempt_abandoned", names.FACT_ABANDONED}),
        (make_unknown(), {"unknown"}),
    ],
)
def test_which_kinds_an_event_is_of(event: Event, kinds: set[str]) -> None:
    """A fact is found by what it is and by its own kind."""
    asked = {"span", "log", "fact", "unknown", "attempt_abandoned", "acme.deployed"}
    assert {kind for kind in asked | {names.FACT_ABANDONED} if is_of_kind(event, kind)} == kinds


@pytest.mark.parametrize("kind", ["x", "a.", ".b", "A.b", "a.b.c.d.e", "a b.c", "a.b\n", "1.b"])
def test_a_kind_of_a_fact_has_a_namespace(kind: str) -> None:
    """Everything else is refused."""
    assert is_fact_kind("acme.ci.deployed-1")
    assert not is_fact_kind(kind)


def test_ids_that_a_subject_misspells_are_none() -> None:
    """A trace that is no hex is not a trace; the fact is read all the same."""
    fact = make_fact(subject={"type": "trace", "trace_id": "xyz", "span_id": 7})
    assert (fact.trace_id, fact.span_id) == (b"", b"")
    assert isinstance(codec.decode_event(codec.encode_event(make_unknown())), Unknown)


@pytest.mark.parametrize("cut", [(), ("string",)])
@pytest.mark.parametrize("ordinal", [1, 127, 128, 70_000])
def test_a_numbered_row_is_that_of_the_numbered_record(ordinal: int, cut: tuple[str, ...]) -> None:
    """Whichever way it is made."""
    record = LogRecord(10, 11, 9, "INFO", "text", {}, 0, 1, b"", b"", "note", cut=cut)
    numbered = msgspec.structs.replace(record, ordinal=ordinal)
    found = codec.numbered(codec.encode_event(record), record, ordinal)
    assert found == codec.encode_event(numbered)
