"""Scrubbing: private data goes, everything else and every id stays."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from events import codec
from events.schema import Context, LogRecord, Span
from projections.mapping.rules.files import builtin_rules
from projections.mapping.rules.identity import whole_of
from service.configuration.settings import Settings
from service.otlp.decode.limits import Limits, log_strings
from service.otlp.decode.protobuf import decode_traces
from service.otlp.scrub.pseudonyms import Pseudonyms
from service.otlp.scrub.replacer import Replacer, scrub_rules
from service.otlp.scrub.scrubber import Scrubber
from tests import otlp

SCRUBBER = Scrubber()
REPLACER = Replacer(scrub_rules(uuids=True))
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4"


def _replaced(text: str) -> str:
    REPLACER.begin()
    return REPLACER.replace(text, set())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mail bob@example.com now", "mail [email] now"),
        ("<jürgen.müller@exämple.co.uk>", "<[email]>"),
        ("a.b+c@x-y.example.org, d@e.fr", "[email], [email]"),
        ("connect to 10.1.2.3:5432 failed", "connect to [ip]:5432 failed"),
        ("::ffff:192.168.0.1", "::ffff:[ip]"),
        ("peer [2001:db8::8a2e:370:7334]:443", "peer [[ip]]:443"),
        ("from fe80::1%eth0", "from [ip]%eth0"),
        ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "[ip]"),
        ("net 2001:db8::/32", "net [ip]/32"),
        ("Authorization: Bearer abc123def456", "Authorization: Bearer [token]"),
        ("authorization: Basic dXNlcjpwYXNz", "authorization: Basic [token]"),
        ("AKIAIOSFODNN7EXAMPLE", "[token]"),
        ("use ghp_abcdefghijklmnopqrstuvwxyz0123456789", "use [token]"),
        ("github_pat_11ABCDEFG0123456789_abcdef", "[token]"),
        ("xoxb-1234567890-abcdefghij", "[token]"),
        ("key sk-proj-abcdef1234567890abcd.", "key [token]."),
        ("sk_live_4eC39HqLyjWDarjtT1zdp7dc", "[token]"),
        (f"jwt={JWT} end", "jwt=[token] end"),
        ("api_key=abcdef&x=1", "api_key=[token]&x=1"),
        ('{"apiKey": "abc def", "n": 1}', '{"apiKey": "[token]", "n": 1}'),
        ("password=hunter2", "password=[password]"),
        ("DB_PASSWORD: 'a b'", "DB_PASSWORD: '[password]'"),
        ("pwd=x;user=y", "pwd=[password];user=y"),
        ("access_token: Bearer abc123def456", "access_token: [token]"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY=[token]"),
        ("postgres://app:s3cr3t@db.internal/x", "postgres://app:[password]@db.internal/x"),
        ("redis://:p%40ss@h:1", "redis://:[password]@h:1"),
        ("amqp://u:p@ss@h", "amqp://u:[password]@h"),
        ("card 4111 1111 1111 1111.", "card [card]."),
        ("card 4111-1111-1111-1111", "card [card]"),
        ("378282246310005", "[card]"),
        ("4111 1111 1111 1111 123", "[card] 123"),
        ("id 123e4567-e89b-12d3-a456-426614174000", "id [uuid]"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "[token]"),
        ("1.2.3.4 bob@x.org token=z", "[ip] [email] token=[token]"),
        ("a::b@example.com", "a::[email]"),
    ],
)
def test_private_data_is_replaced(text: str, expected: str) -> None:
    """The kind stands where the value was; what surrounds it stays."""
    assert _replaced(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "task-run-0123456789abcdef0123456789",
        "sk-learn-something-quite-long-here",
        "Foo::Bar and std::vector and add::fe",
        "at 12:34:56, 00:1A:2B:3C:4D:5E",
        "version 1.2.3 of 4.18.0.305",
        "1763712345678901234",
        "4111 1111 1111 1112",
        "0.4111111111111111",
        "bearer authentication failed",
        "tokens: 12, passes 3, bypass=no",
        "the user name @handle",
        "react@18.2.0",
        "http://host:8080/a?b=c",
        "Traceback (most recent call last):\n  File \"/srv/app/x.py\", line 3, in run\n",
    ],
)  # fmt: skip
def test_what_only_looks_private_stays(text: str) -> None:
    """Names, versions, times and numbers are left alone."""
    assert _replaced(text) == text


@pytest.mark.parametrize("unit", ["1.2.3.4 ", "1::", "a@b.co ", "4111 "])
def test_a_string_made_of_candidates_is_bounded(unit: str) -> None:
    """What comes after a thousand candidates is replaced as a whole, and stays so."""
    once = _replaced(unit * 5_000)
    assert len(once) < 12_000
    assert _replaced(once) == once


def test_a_string_may_need_hundreds_of_looks() -> None:
    """Each password that is replaced lets the next one show; none is left in the end."""
    once = _replaced("a://b:x" + ("@@" + "y" * 245) * 260)
    assert once.count("[password]") == 1
    assert "yy@" not in once
    assert _replaced(once) == once


SEEDS = st.sampled_from([
    "bob@example.com", "10.0.0.1", "2001:db8::1", "password=", "token: ", "Bearer ", JWT, "://",
    "4111111111111111", "AKIAIOSFODNN7EXAMPLE", "sk-abcdefghij0123456789", "'", '"', "@", ":",
    "\0", " ", "?", "/", "[email]", "é", "-----BEGIN PRIVATE KEY-----", "a", "1", ".", "x",
])  # fmt: skip
mixtures = st.lists(st.one_of(SEEDS, st.text(max_size=3)), max_size=10).map("".join)
texts = mixtures.map(lambda text: text.encode(errors="replace").decode())


@settings(max_examples=400, deadline=None)
@given(texts)
def test_scrubbing_twice_changes_nothing_more(text: str) -> None:
    """What was scrubbed once holds nothing that a rule finds."""
    once = _replaced(text)
    kinds: set[str] = set()
    assert REPLACER.replace(once, kinds) == once
    assert kinds == set()


def _row(**changes: Any) -> tuple[bytes, Span, Counter[str]]:
    decoded = decode_traces(otlp.traces(otlp.make_span(**changes)).SerializeToString(), Limits())
    (group,) = decoded.groups
    before = group.rows[0]
    kinds: Counter[str] = Counter()
    SCRUBBER.rows(group.rows, group.text, group.text_ends, kinds)
    event = codec.decode_event(group.rows[0])
    assert isinstance(event, Span)
    return before, event, kinds


def test_every_string_of_a_span_is_scrubbed() -> None:
    """Name, message, attributes at any depth, events and links."""
    value = otlp.AnyValue()
    value.kvlist_value.values.append(otlp.pair("inner", "x@y.org"))
    _, span, kinds = _row(
        name="mail a@b.org",
        attributes={"deep": value, "client.address": "10.0.0.7"},
        events=[{"name": "to c@d.org", "attributes": [otlp.pair("exception.message", "e@f.org")]}],
        links=[{
            "trace_id": bytes(16), "span_id": bytes(8), "attributes": [otlp.pair("who", "g@h.org")]
        }],
        status={"message": "password=x"},
    )  # fmt: skip
    assert span.name == "mail [email]"
    assert span.attributes == {"deep": {"inner": "[email]"}, "client.address": "[ip]"}
    assert span.events[0].name == "to [email]"
    assert span.events[0].attributes == {"exception.message": "[email]"}
    assert span.links[0].attributes == {"who": "[email]"}
    assert span.status_message == "password=[password]"
    assert span.scrubbed == ("email", "ip", "password")
    assert kinds == {"email": 1, "ip": 1, "password": 1}


def test_what_an_exception_and_the_status_both_say_is_scrubbed_in_both() -> None:
    """The scan sees it once; also if it has a NUL, or an exempt key's value says it too."""
    for message in ("no mailbox a@b.org", "no\0mailbox a@b.org", "a@b.org"):
        _, span, kinds = _row(
            attributes={"task.id": message},
            events=[{"name": "x", "attributes": [otlp.pair("exception.message", message)]}],
            status={"message": message},
        )
        scrubbed = message.replace("a@b.org", "[email]")
        assert span.attributes == {"task.id": message}
        assert span.events[0].attributes == {"exception.message": scrubbed}
        assert span.status_message == scrubbed
        assert kinds == {"email": 1}


def test_ids_that_correlate_are_exempt() -> None:
    """A task id that looks like an address stays; so does what the settings exempt."""
    attributes = {"task.id": "bob@example.com", "order": "10.0.0.1", "other": "10.0.0.2"}
    scrubber = Scrubber(exempt=["order"])
    decoded = decode_traces(
        otlp.traces(otlp.make_span(attributes=attributes)).SerializeToString(), Limits()
    )
    (group,) = decoded.groups
    scrubber.rows(group.rows, group.text, group.text_ends, Counter())
    event = codec.decode_event(group.rows[0])
    assert event.attributes == attributes | {"other": "[ip]"}


def test_what_a_rule_needs_is_whole_only_where_the_rule_can_match() -> None:
    """Argo's `name` stays on a node of Argo's; an e-mail in anybody's `name` does not."""
    scrubber = Scrubber(uuids=True, whole=whole_of(builtin_rules()))
    node = {"node_id": "10.0.0.1", "node_type": "Pod", "namespace": "a@b.org", "name": "c@d.org"}
    almost = node | {"node_type": "Poddy"}
    spans = [
        otlp.make_span(name="node", attributes=node),
        otlp.make_span(name="node", attributes=almost),
        otlp.make_span(name="call", attributes=node),
        otlp.make_span(name="call", attributes={"name": "e@f.org", "celery.task_name": "g@h.org"}),
    ]
    (group,) = decode_traces(otlp.traces(*spans).SerializeToString(), Limits()).groups
    scrubber.rows(group.rows, group.text, group.text_ends, Counter())
    hidden = {"node_id": "[ip]", "namespace": "[email]", "name": "[email]"}
    assert [codec.decode_event(row).attributes for row in group.rows] == [
        node, almost | hidden, node | hidden, {"name": "[email]", "celery.task_name": "g@h.org"}
    ]  # fmt: skip
    resource = Context(resource_attributes={"name": "i@j.org", "service.name": "k@l.org"})
    told = codec.decode_context(scrubber.context(codec.encode_context(resource)))
    assert told.resource_attributes == {"name": "[email]", "service.name": "k@l.org"}


def test_a_clean_row_is_left_as_it_is() -> None:
    """Neither its bytes change nor does a candidate that proves harmless change them."""
    for name in ("plain", "card 4111 1111 1111 1112", "ab::cd"):
        before, span, kinds = _row(name=name)
        assert codec.encode_event(span) == before
        assert kinds == {}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(texts, min_size=1, max_size=3), min_size=1, max_size=5))
def test_the_scan_of_a_batch_finds_what_each_string_holds(rows: list[list[str]]) -> None:
    """Joined or alone, a string is scrubbed the same; ids, times and keys never change."""
    spans = [
        otlp.make_span(name=row[0], attributes={f"k{n}": text for n, text in enumerate(row[1:])})
        for row in rows
    ]
    (group,) = decode_traces(otlp.traces(*spans).SerializeToString(), Limits()).groups
    before = [codec.decode_event(row) for row in group.rows]
    SCRUBBER.rows(group.rows, group.text, group.text_ends, Counter())
    alone = Replacer(scrub_rules(uuids=False))
    for old, row in zip(before, group.rows, strict=True):
        new = codec.decode_event(row)
        assert new.name == alone.replace(old.name, set())
        assert new.attributes == {
            key: alone.replace(text, set()) for key, text in old.attributes.items()
        }
        assert (new.trace_id, new.span_id, new.start_ns) == (
            old.trace_id,
            old.span_id,
            old.start_ns,
        )


def test_log_records_are_scrubbed() -> None:
    """Bodies of any shape, attributes, severity text and event name."""
    record = LogRecord(
        1, 0, 9, "bob@x.org", {"who": ["bob@x.org"]}, {"task.id": "bob@x.org", "a": "bob@x.org"},
        0, 0, b"", b"", "10.0.0.1",
    )  # fmt: skip
    rows = [codec.encode_event(record)]
    text = "".join(f"{text}\0" for text in log_strings(record)).encode()
    SCRUBBER.rows(rows, text, [len(text)], Counter())
    event = codec.decode_event(rows[0])
    assert isinstance(event, LogRecord)
    assert (event.severity_text, event.event_name) == ("[email]", "[ip]")
    assert event.body == {"who": ["[email]"]}
    assert event.attributes == {"task.id": "bob@x.org", "a": "[email]"}
    assert event.scrubbed == ("email", "ip")


def test_contexts_are_scrubbed_and_remembered() -> None:
    """Resource and scope attributes are scrubbed once for equal bytes; host names stay."""
    context = Context(
        resource_attributes={"host.name": "10.0.0.1", "host.ip": ["10.0.0.1"], "n": 1},
        scope_attributes={"owner": "bob@x.org"},
    )
    data = codec.encode_context(context)
    found = SCRUBBER.context(data)
    assert SCRUBBER.context(data) is found
    scrubbed = codec.decode_context(found)
    assert scrubbed.resource_attributes == {"host.name": "10.0.0.1", "host.ip": ["[ip]"], "n": 1}
    assert scrubbed.scope_attributes == {"owner": "[email]"}
    assert scrubbed.scrubbed == ("email", "ip")


def test_the_settings_choose() -> None:
    """Scrubbing can be off, and UUIDs are scrubbed only when asked for."""
    uuid = "123e4567-e89b-12d3-a456-426614174000"
    data = codec.encode_context(Context(scope_attributes={"u": uuid}))
    path = Path()
    assert Scrubber.of(Settings(data=path, scrub=False)) is None
    plain, strict = (
        Scrubber.of(Settings(data=path)),
        Scrubber.of(Settings(data=path, scrub_uuids=True)),
    )
    assert plain is not None
    assert strict is not None
    assert plain.context(data) == data
    assert codec.decode_context(strict.context(data)).scope_attributes == {"u": "[uuid]"}


def test_pseudonyms_keep_equal_values_equal() -> None:
    """By the log's key: equal in any spelling, another for another value or key; no secrets."""
    replacer, other = Replacer(scrub_rules(uuids=True)), Replacer(scrub_rules(uuids=True))
    replacer.pseudonyms, other.pseudonyms = Pseudonyms(bytes(64)), Pseudonyms(b"k" * 64)
    text = "to Bob@x.org, tel. +44 20 7946 0958, card 4111-1111-1111-1111; password=hunter2"
    once = replacer.replace(text, set())
    assert re.fullmatch(
        r"to \[email:[b-t]{12}\], tel. \[phone:[b-t]{12}\], card \[card:[b-t]{12}\];"
        r" password=\[password\]",
        once,
    )
    assert replacer.replace(once, set()) == once
    spelled = text.replace("Bob", "bob").replace("+44 20 7946", "+44-20-7946").replace("1-1", "1 1")
    assert replacer.replace(spelled, set()) == once
    assert replacer.replace(text.replace("Bob", "Rob"), set()) != once
    assert other.replace(text, set()) != once


def test_a_log_makes_pseudonyms_with_its_key() -> None:
    """The setting asks for them; without it the kind stands alone."""
    data = codec.encode_context(Context(scope_attributes={"owner": "bob@x.org"}))
    owners = []
    for asked, key in ((True, bytes(64)), (True, b"k" * 64), (False, bytes(64))):
        scrubber = Scrubber.of(Settings(data=Path(), scrub_pseudonyms=asked))
        assert scrubber is not None
        scrubber.use_key(key)
        owners.append(codec.decode_context(scrubber.context(data)).scope_attributes["owner"])
    assert owners[2] == "[email]"
    assert len(set(owners)) == 3
