"""The native rewriting of a row gives what decoding, scrubbing and encoding it gives, or nothing.

Skipped where the package was built without a C compiler; `.ci/run` builds it.
"""

from collections import Counter
from contextlib import suppress
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from events import codec
from events.schema import Span, SpanEvent, SpanLink
from projections.mapping.rules.identity import Need, Whole
from service.otlp.decode.limits import span_strings
from service.otlp.scrub import scrubber as scrub
from service.otlp.scrub.replacer import Change
from service.otlp.scrub.scrubber import Scrubber
from service.otlp.scrub.secret_keys import MARK, names_secret
from tests.native_modules import required
from tests.thorough import examples

native = required("service.otlp.decode._native")

MAIL = "ann@example.com"
texts = st.one_of(
    st.sampled_from([
        "", "plain", MAIL, f"to {MAIL}", f"{MAIL} {MAIL}", "10.0.0.1", "é" + MAIL, "a\0b",
        MAIL + "\0",
        "x" * 30 + MAIL, "x" * 250 + f" {MAIL}", "x" * 70_000 + f" {MAIL}", MARK, "token=abc",
    ]),
    st.text(max_size=20),
)  # fmt: skip
keys = st.sampled_from(["a", "b", MAIL, "task.id", "task.parents", "password", "é" * 20])
values = st.recursive(
    st.one_of(
        texts, st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(),
        st.binary(max_size=300),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=20), st.dictionaries(keys, inner, max_size=4)
    ),
    max_leaves=12,
)  # fmt: skip
attributes = st.one_of(
    st.dictionaries(keys, values, max_size=6),
    st.integers(16, 40).map(lambda n: {f"k{i}": MAIL for i in range(n)}),
)
numbers = st.integers(0, 2**32 - 1)
spans = st.builds(
    Span,
    trace_id=st.just(b"t" * 16), span_id=st.just(b"s" * 8), parent_span_id=st.just(b""),
    trace_state=texts, flags=numbers, name=texts, kind=st.integers(0, 5),
    start_ns=st.integers(1, 2**63 - 1), end_ns=st.integers(0, 2**63 - 1), attributes=attributes,
    dropped_attributes_count=numbers,
    events=st.lists(
        st.builds(SpanEvent, time_ns=numbers, name=texts, attributes=attributes,
                  dropped_attributes_count=numbers),
        max_size=3,
    ),
    dropped_events_count=numbers,
    links=st.lists(
        st.builds(SpanLink, trace_id=st.just(b"t" * 16), span_id=st.just(b"s" * 8),
                  trace_state=texts, attributes=attributes, dropped_attributes_count=numbers,
                  flags=numbers),
        max_size=2,
    ),
    dropped_links_count=numbers, status_code=st.integers(0, 2), status_message=texts,
    cut=st.sampled_from([(), ("string",)]),
)  # fmt: skip
WHOLE = Whole(frozenset(), (Need(frozenset({"a"}), ("plain",), (("b", None),)),))
SCRUBBER = Scrubber(whole=WHOLE)


def _scrubbed(span: Span) -> tuple[bytes, Counter[str]]:
    strings = span_strings(span) + ([MARK] if names_secret(span) else [])
    text = "".join(f"{string}\0" for string in strings).encode()
    rows, kinds = [codec.encode_event(span)], Counter[str]()
    SCRUBBER.rows(rows, text, [len(text)], kinds)
    return rows[0], kinds


def _span(**fields: object) -> Span:
    known = {
        "trace_id": b"t" * 16, "span_id": b"s" * 8, "parent_span_id": b"", "trace_state": "",
        "flags": 0, "name": "n", "kind": 1, "start_ns": 1, "end_ns": 2, "attributes": {},
        "dropped_attributes_count": 0, "events": [], "dropped_events_count": 0, "links": [],
        "dropped_links_count": 0, "status_code": 2, "status_message": "",
    }  # fmt: skip
    return Span(**{**known, **fields})  # type: ignore[arg-type]


@settings(max_examples=examples(400), deadline=None)
@example(_span(name=MAIL, trace_state=MAIL, attributes={"task.parents": [MAIL], MAIL: [MAIL]}))
@given(spans)
def test_it_equals_the_reference(span: Span) -> None:
    """With and without native code a row becomes the same, and the same kinds are told."""
    with_native = _scrubbed(span)
    with patch.object(scrub, "_native", None):
        assert with_native == _scrubbed(span)


def test_an_ordinary_row_is_rewritten() -> None:
    """The common case takes the fast path, and an exempt key shields what is under it."""
    row = codec.encode_event(_span(name=MAIL, attributes={"task.id": MAIL, "x": {"y": [MAIL]}}))
    changes = [Change(b"absent", b"", {"ip"}), Change(MAIL.encode(), b"[email]", {"email"})]
    head, used = native.replace_strings(row, changes, frozenset({"task.id"}))
    span = codec.decode_event(head + codec.encode_scrubbed(["email"]))
    assert span == _span(
        name="[email]", attributes={"task.id": MAIL, "x": {"y": ["[email]"]}}, scrubbed=("email",)
    )
    assert used == 0b10


@settings(max_examples=examples(300), deadline=None)
@given(spans, st.data())
def test_torn_and_altered_rows_never_harm(span: Span, data: st.DataObject) -> None:
    """Whatever the bytes are, there is an answer or none, but no crash."""
    row = bytearray(codec.encode_event(span))
    for _ in range(data.draw(st.integers(0, 3))):
        row[data.draw(st.integers(0, len(row) - 1))] = data.draw(st.integers(0, 255))
    torn = bytes(row[: data.draw(st.integers(0, len(row)))])
    changes = [Change(MAIL.encode(), b"[email]", {"email"})]
    with suppress(UnicodeDecodeError):  # a key that is no text
        native.replace_strings(torn, changes, frozenset())


def test_a_wrong_argument_is_told() -> None:
    """Changes of another form raise instead of being read past their end."""
    row = codec.encode_event(_span())
    for changes in ([b"ab"], [(b"a", b"b")], [("a", "b", 1, 2)]):
        with pytest.raises((TypeError, SystemError)):
            native.replace_strings(row, changes, frozenset())
    many = [Change(b"a", b"b", set())] * 65
    assert native.replace_strings(row, many, frozenset()) is None
