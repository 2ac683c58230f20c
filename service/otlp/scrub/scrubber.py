"""Replacing private data before it is stored, because the log never forgets.

One RE2 scan goes over the joined text of a whole batch; only the rows with a string that changes
are decoded and encoded again, with the kinds of what was replaced in `scrubbed`. The scan finds at
least what the rules find; where a pattern alone would say too much (card numbers, IPv6), a rule
looks closer. Traps: every class excludes NUL, which separates the strings of a text; no
look-around in RE2; `sk-` needs a left boundary ("task-").

A key that names a secret hides its whole value, whatever it looks like (`secret_keys`), and so does
one that the settings deny (`denied`). Ids that correlate are exempt by attribute key, before all
else, and so are trace state and ids of OTLP itself.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import force_setattr

from events import codec, names
from events.bounded import remembered
from events.errors import BadSetting
from events.native import load
from events.schema import Attributes, Fact, LogRecord, Span
from projections.mapping.rules.identity import Whole
from service.configuration.settings import Settings
from service.otlp.decode.limits import Cuts, strings_of
from service.otlp.scrub.denied import Denied, hidden
from service.otlp.scrub.exemptions import Exemptions
from service.otlp.scrub.kinds.own import PRIVATE
from service.otlp.scrub.kinds.secrets import PASSWORD
from service.otlp.scrub.pseudonyms import Pseudonyms
from service.otlp.scrub.replacer import CANDIDATES, Change, Replacer, scrub_rules
from service.otlp.scrub.secret_keys import MARK, has_secret_key, secret_kind

_native: Final = load("service.otlp.decode._native")
EXEMPT_KEYS: Final = frozenset({
    names.TASK_ID, names.TASK_RUN_ID, names.TASK_GROUP_ID, names.TASK_RETRY_OF,
    names.TASK_EXECUTOR_ID, names.TASK_PARENTS, names.TASK_CAUSES, names.TASK_IDEMPOTENCY_KEY,
    names.SERVICE_NAME, names.SERVICE_INSTANCE_ID, names.HOST_NAME, "host.id", "session.id",
    "session.previous_id", "gen_ai.conversation.id", "messaging.message.id",
    "messaging.message.conversation_id", "celery.task_id", "rq.job.id", "message_id",
    "temporalWorkflowID", "temporalRunID", "temporalActivityID", "airflow.dag_run.run_id",
    "airflow.task_instance.id", "prefect.run.id", "hatchet.step_run_id",
    "hatchet.workflow_run_id", "hatchet.worker_id", "docket.key", "docket.worker",
    "span.parent_id", "logfire.pending_parent_id",
})  # fmt: skip
"""Attributes whose values tie facts together."""

CONTEXTS_BYTES: Final = 8 << 20
_MARK: Final = MARK.encode()
_NESTED: Final = frozenset({list, dict})
_RESERVE: Final = 10 * CANDIDATES
"""More than any context but a hostile one needs."""


def check_denied(settings: Settings, whole: Whole) -> None:
    """Refuse to deny what tells tasks and runs apart: hidden, it would make them one.

    Raises:
        BadSetting: a denied key is needed whole everywhere, and the settings do not exempt it.
    """
    denied = Denied(settings.scrub_deny)
    for key in sorted((EXEMPT_KEYS | whole.keys).difference(settings.scrub_exempt)):
        if (pattern := denied.by(key)) is not None:
            raise BadSetting(
                f"--scrub-deny {pattern}: it names {key}, by which tasks and runs are told apart "
                f"or joined; deny other keys, or keep this one with --scrub-exempt {key}"
            )


class Scrubber:
    """Scrubs rows and contexts. Belongs to one thread."""

    def __init__(
        self,
        *,
        uuids: bool = False,
        exempt: Iterable[str] = (),
        patterns: Iterable[str] = (),
        allowed: Iterable[str] = (),
        denied: Iterable[str] = (),
        pseudonyms: bool = False,
        whole: Whole | None = None,
    ) -> None:
        self._pseudonyms = pseudonyms
        self._replacer = Replacer(scrub_rules(uuids=uuids, patterns=patterns, allowed=allowed))
        self._denied = Denied(denied)
        self._exempt = Exemptions(EXEMPT_KEYS.union(exempt), whole)
        self._known_context = remembered(CONTEXTS_BYTES)(self._context)

    @classmethod
    def of(cls, settings: Settings, whole: Whole | None = None) -> "Scrubber | None":
        """The scrubber that `settings` ask for; None if scrubbing is off. `whole` is what the
        mapping rules in force need."""
        if not settings.scrub:
            return None
        return cls(
            uuids=settings.scrub_uuids,
            exempt=settings.scrub_exempt,
            patterns=settings.scrub_patterns,
            allowed=settings.scrub_allow,
            denied=settings.scrub_deny,
            pseudonyms=settings.scrub_pseudonyms,
            whole=whole,
        )

    def use_key(self, key: bytes) -> None:
        """Make pseudonyms, if any are wanted, with a log's own key."""
        if self._pseudonyms:
            self._replacer.pseudonyms = Pseudonyms(key)

    def rows(self, rows: list[bytes], text: bytes, ends: Sequence[int], kinds: Cuts) -> None:
        """Scrub a batch's `rows` in place; `text` and `ends` are as in `Group`.

        `kinds` counts events. A batch is bounded in what it may cost: see `BATCH_CANDIDATES`.
        """
        self._replacer.begin()
        suspects: dict[int, list[Change]] = {}
        for start, change in self._replacer.changes(text):
            suspects.setdefault(bisect_right(ends, start), []).append(change)
        denied = set(self._denied.those_of(rows))
        for number in denied:
            suspects.setdefault(number, [])
        for number, changes in suspects.items():
            hides = number in denied or changes[-1].old == _MARK
            rows[number] = self._row(rows[number], changes, kinds, hides=hides)

    def _row(self, row: bytes, changes: list[Change], kinds: Cuts, *, hides: bool) -> bytes:
        """`hides`: a whole value may have to go for its key, which the native code leaves to us."""
        if _native is not None and not hides:
            found = _native.replace_strings(row, changes, self._exempt.of(row))
            if found is not None:
                return self._marked(row, found, changes, kinds)
        return self._walked(row, changes, kinds)

    def _marked(
        self, row: bytes, found: tuple[bytes, int], changes: list[Change], kinds: Cuts
    ) -> bytes:
        """The row that `replace_strings` has begun, ended with the kinds of what it replaced."""
        head, used = found
        replaced: set[str] = set()
        for number, change in enumerate(changes):
            if used >> number & 1:
                replaced |= change.kinds
        if not replaced:
            return row
        for kind in replaced:
            kinds[kind] += 1
        return head + codec.encode_scrubbed(sorted(replaced))

    def _walked(self, row: bytes, changes: list[Change], kinds: Cuts) -> bytes:
        event = codec.decode_event(row)
        by_text = {change.old.decode(): change for change in changes}
        walk = self._walk(self._exempt.of(row), by_text)
        if isinstance(event, Span):
            walk.span(event)
        elif isinstance(event, LogRecord):
            walk.log(event)
        elif isinstance(event, Fact):
            walk.attributes(event.payload)
        if not walk.kinds:
            return row
        kinds.update(walk.kinds)
        force_setattr(event, "scrubbed", tuple(sorted(walk.kinds)))
        return codec.encode_event(event)

    def _walk(self, exempt: frozenset[str], changes: dict[str, Change] | None) -> "_Walk":
        return _Walk(exempt, self._denied, self._replacer, changes)

    def value(self, key: str, text: str, kinds: set[str]) -> Any:
        """What is stored of `text` as the value of the attribute `key`; adds to `kinds`."""
        self._replacer.begin()
        attributes: Attributes = {key: text}
        walk = self._walk(self._exempt.always, None)
        walk.attributes(attributes)
        kinds |= walk.kinds
        return attributes[key]

    def context(self, data: bytes) -> bytes:
        """The context `data` of the batch whose rows were scrubbed last, scrubbed."""
        if self._replacer.left < _RESERVE:
            return self._context(data)  # what a spent batch makes of it is not for others
        return self._known_context(data)

    def _context(self, data: bytes) -> bytes:
        context = codec.decode_context(data)
        maps = context.resource_attributes, context.scope_attributes
        hides = self._denied.may_be_in(data) or any(map(has_secret_key, maps))
        if not (hides or self._is_suspect(maps)):
            return data
        walk = self._walk(self._exempt.always, None)
        walk.attributes(context.resource_attributes)
        walk.attributes(context.scope_attributes)
        if not walk.kinds:
            return data
        force_setattr(context, "scrubbed", tuple(sorted(walk.kinds)))
        return codec.encode_context(context)

    def _is_suspect(self, maps: Sequence[Attributes]) -> bool:
        """Whether a rule finds anything in the values of `maps`, looked at as one text."""
        strings: list[str] = []
        for attributes in maps:
            strings_of(attributes, strings.append)
        text = "\0".join([*strings, ""]).encode()
        return bool(self._replacer.changes(text))


class _Walk:
    """Scrubs one event in place: it was decoded for this, and nobody else has it yet.

    `changes` are those of its strings; None: every string is looked at.
    """

    def __init__(
        self,
        exempt: frozenset[str],
        denied: Denied,
        replacer: Replacer,
        changes: dict[str, Change] | None,
    ) -> None:
        self.kinds: set[str] = set()
        self._exempt = exempt
        self._denied = denied
        self._replace = replacer.replace
        self._pseudonyms = replacer.pseudonyms
        self._every = changes is None
        self._changes: dict[str, Change] = changes or {}
        self._may_hide = self._every or MARK in self._changes or bool(denied)

    def span(self, span: Span) -> None:
        self._field(span, "name")
        self.attributes(span.attributes)
        for event in span.events:
            self._field(event, "name")
            self.attributes(event.attributes)
        for link in span.links:
            self.attributes(link.attributes)
        self._field(span, "status_message")

    def log(self, record: LogRecord) -> None:
        self._field(record, "body")
        self.attributes(record.attributes)
        self._field(record, "severity_text")
        self._field(record, "event_name")

    def _field(self, part: msgspec.Struct, name: str) -> None:
        value = getattr(part, name)
        new = self._value(value)
        if new is not value:
            force_setattr(part, name, new)

    def attributes(self, attributes: Attributes) -> None:
        may_hide, may_change = self._may_hide, self._may_change
        for key, value in attributes.items():
            if may_hide or may_change(value):
                attributes[key] = self._under(key, value)

    def _may_change(self, value: Any) -> bool:
        if type(value) is str:
            return value in self._changes or "\0" in value
        return type(value) in _NESTED

    def _under(self, key: str, value: Any) -> Any:
        if key in self._exempt:
            return value
        if self._denied.by(key) is not None:
            return self._denied_value(value)
        kind = secret_kind(key)
        return self._value(value) if kind is None else self._hidden(value, kind)

    def _denied_value(self, value: Any) -> Any:
        new = hidden(value, self._pseudonyms)
        if new is not value:
            self.kinds.add(PRIVATE)
        return new

    def _hidden(self, value: Any, kind: str) -> Any:
        """`value` of a key that names a secret; numbers count things, except for passwords."""
        if isinstance(value, list):
            return [self._hidden(item, kind) for item in value]
        if isinstance(value, dict):
            return {key: self._hidden(item, kind) for key, item in value.items()}
        hidden = f"[{kind}]"
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if value in ("", b"", hidden) or not (
            isinstance(value, str | bytes) or (is_number and kind == PASSWORD)
        ):
            return value
        self.kinds.add(kind)
        return hidden

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if isinstance(value, dict):
            self.attributes(value)
        return value

    def _text(self, text: str) -> str:
        # A string with a NUL of its own stands in pieces among the changes.
        if self._every or "\0" in text:
            return self._replace(text, self.kinds)
        change = self._changes.get(text)
        if change is None:
            return text
        self.kinds |= change.kinds
        return change.new.decode()
