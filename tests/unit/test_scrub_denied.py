"""Denied attribute keys: nothing of their values is stored, and nothing else goes for it."""

from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from events import codec
from events.errors import BadInput, BadSetting
from events.schema import Context, Fact, LogRecord, Span
from projections.mapping.rules.files import builtin_rules
from projections.mapping.rules.identity import Need, Whole, whole_of
from service.configuration.reading import load
from service.configuration.settings import Settings
from service.otlp.decode import protobuf
from service.otlp.decode.limits import Limits
from service.otlp.scrub.denied import Denied
from service.otlp.scrub.pseudonyms import Pseudonyms
from service.otlp.scrub.scrubber import Scrubber, check_denied
from tests import otlp

DENIED = ("user.*", "http.request.header.?", "*.secret.id", "card")
HIDDEN = "[private]"


def _stored(spans: list[Any], **options: Any) -> list[Span | LogRecord]:
    """Spans as they are stored, by the decoder that is there."""
    body = otlp.traces(*spans).SerializeToString()
    (group,) = protobuf.decode_traces(body, Limits()).groups
    scrubber = Scrubber(denied=DENIED, **options)
    scrubber.use_key(b"k" * 64)
    scrubber.rows(group.rows, group.text, group.text_ends, Counter())
    return [codec.decode_event(row) for row in group.rows]  # type: ignore[misc]


@pytest.mark.parametrize("native", [True, False])
def test_all_that_stands_under_a_denied_key_goes(native: bool) -> None:
    """Texts and numbers, in events and links too; other keys stay, by each decoder;
    what a rule finds beside it goes as ever."""
    attributes = {
        "user.name": "Ann", "user.age": 7, "http.request.header.x": "1",
        "http.request.header.xy": "2", "my.secret.id": "s", "card": "c", "cards": "cc",
        "username": "stays", "mail": "a@b.org", "userXid": "stays",
    }  # fmt: skip
    part = {"attributes": [otlp.pair("user.id", "x"), otlp.pair("k", "y")]}
    span = otlp.make_span(attributes=attributes, events=[{"name": "e", **part}], links=[part])
    if native:
        clean, stored = _stored([otlp.make_span(attributes={"k": "v"}), span])
    else:
        with patch("service.otlp.scrub.scrubber._native", None):
            clean, stored = _stored([otlp.make_span(attributes={"k": "v"}), span])
    assert clean.attributes == {"k": "v"}
    assert clean.scrubbed == ()
    assert isinstance(stored, Span)
    assert stored.attributes == attributes | dict.fromkeys(
        ["user.name", "user.age", "http.request.header.x", "my.secret.id", "card"],
        HIDDEN,
    ) | {"mail": "[email]"}  # fmt: skip
    assert stored.events[0].attributes == {"user.id": HIDDEN, "k": "y"}
    assert stored.links[0].attributes == {"user.id": HIDDEN, "k": "y"}
    assert stored.scrubbed == ("email", "private")


def test_records_facts_and_contexts_too() -> None:
    """At any depth: a table or list goes whole, one beside it is looked into."""
    scrubber = Scrubber(denied=DENIED)
    body = {"deep": [{"user.name": {"a": [1]}, "k": 1}]}
    record = LogRecord(1, 1, 9, "", body, {"card": [True, "x"]}, 0, 0, b"", b"", "")
    fact = Fact("k", 1, 1, {}, "me", "key", {"user.id": "u", "k": 1})
    rows = [codec.encode_event(record), codec.encode_event(fact)]
    kinds: Counter[str] = Counter()
    scrubber.rows(rows, b"\0\0", [1, 2], kinds)
    told, said = map(codec.decode_event, rows)
    assert isinstance(told, LogRecord)
    assert told.body == {"deep": [{"user.name": HIDDEN, "k": 1}]}
    assert told.attributes == {"card": HIDDEN}
    assert isinstance(said, Fact)
    assert said.payload == {"user.id": HIDDEN, "k": 1}
    assert kinds == {"private": 2}
    context = codec.encode_context(
        Context(resource_attributes={"user.id": "u", "k": "v"}, scope_attributes={"card": 1})
    )
    once = codec.decode_context(scrubber.context(context))
    assert once.resource_attributes == {"user.id": HIDDEN, "k": "v"}
    assert once.scope_attributes == {"card": HIDDEN}


def test_pseudonyms_keep_denied_texts_joinable() -> None:
    """Equal texts stay equal, others differ; scrubbing again changes nothing more."""
    spans = [otlp.make_span(attributes={"card": card}) for card in ("a", "a", "b", 5)]
    stored = [span.attributes["card"] for span in _stored(spans, pseudonyms=True)]
    assert stored[0] == stored[1] != stored[2]
    assert stored[3] == HIDDEN
    (again,) = _stored([otlp.make_span(attributes={"card": stored[0]})], pseudonyms=True)
    assert again.attributes == {"card": stored[0]}
    assert again.scrubbed == ()
    assert stored[0] == Pseudonyms(b"k" * 64).named(b"a", HIDDEN.encode()).decode()


def test_what_is_exempt_comes_first() -> None:
    """By the settings, or because a rule needs it, there."""
    whole = Whole(frozenset(), (Need(frozenset({"card"}), ("pay",), ()),))
    attributes = {"user.id": "u", "user.name": "n", "card": "c"}
    spans = [otlp.make_span(name=name, attributes=attributes) for name in ("pay", "other")]
    pay, other = _stored(spans, exempt=["user.id"], whole=whole)
    assert pay.attributes == attributes | {"user.name": HIDDEN}
    assert other.attributes == attributes | {"user.name": HIDDEN, "card": HIDDEN}


def test_a_key_that_identifies_cannot_be_denied() -> None:
    """Runs would become one; the message names the pattern, the key, and the way out."""
    whole = whole_of(builtin_rules())
    for pattern, key in (("task.id", "task.id"), ("celery.*", "celery.retries")):
        asked = Settings(data=Path(), scrub_deny=(pattern,))
        with pytest.raises(BadSetting) as caught:
            check_denied(asked, whole)
        assert f"--scrub-deny {pattern}: it names {key}," in str(caught.value)
        assert f"--scrub-exempt {key}" in str(caught.value)
    exempt = ("task.id",)
    check_denied(Settings(data=Path(), scrub_deny=("task.id",), scrub_exempt=exempt), whole)
    check_denied(Settings(data=Path(), scrub_deny=("user.*", "name")), whole)


def test_bad_patterns_are_told(tmp_path: Path) -> None:
    """When the settings are read."""
    for pattern in ("", "a*" * 2_000):
        with pytest.raises(BadInput, match="--scrub-deny"):
            Denied([pattern])
    with pytest.raises((BadInput, BadSetting), match="--scrub-deny"):
        load({"data": str(tmp_path), "scrub_deny": [""]}, {})


def test_a_star_denies_every_key() -> None:
    """And a pattern without text is found in any row."""
    denied = Denied(["*"])
    assert denied.may_be_in(b"\x81\xa1k\xa1v")
    assert denied.by("anything") == "*"
    assert list(denied.those_of([b"a", b"b", b""])) == [0, 1]
    assert list(Denied(["b"]).those_of([b"\xa1a", b"\xa1b", b"", b"\xa1", b"b\xa1b"])) == [1, 3, 4]
    assert not Denied([])
    assert not Denied([]).may_be_in(b"\xa1k")
