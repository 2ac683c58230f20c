"""Where attempts fail most, within a time."""

from collections import defaultdict
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta

from events.log.sqlite import load_queries
from events.times import rfc3339
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry, window
from projections.query.parameters import Limit, Question, Since, Until
from projections.query.records import Behind, Ns, PositionText, Rfc3339
from projections.query.rows import select
from projections.runs import words
from projections.runs.scopes import HOUR_NS

SQL = load_queries("projections.views.hotspots", "question.sql")
DAY_NS: Final = 24 * HOUR_NS
LOOKED_AT: Final = 100_000
"""Attempts of each status that are counted, the newest."""
SAMPLE: Final = 200
"""Attempts of each status whose events are read for their version."""
_STATUSES: Final = (words.COMPLETED, *sorted(words.FAILURES))


class Hotspot(msgspec.Struct, frozen=True, kw_only=True):
    """A place, and how attempts ended there."""

    key: Annotated[str, Meta(description="The place; null: the sender did not say it")] | None
    failures: Annotated[int, Meta(description="Failed, timed out and abandoned attempts")]
    attempts: Annotated[int, Meta(description="These and the completed ones")]
    failure_rate: float
    share: Annotated[float, Meta(description="Of all failures")]
    lift: Annotated[
        float, Meta(description="Its failure rate by that of all: above 1, it fails more")
    ]
    patterns: Annotated[int, Meta(description="Different errors, at least")]
    last_seen: Annotated[Rfc3339, Meta(description="The newest failure")] | None
    last_seen_ns: Ns | None


class Hotspots(msgspec.Struct, frozen=True, kw_only=True):
    """Places with failures, those with most of them first."""

    items: list[Hotspot]
    since: Rfc3339 | None
    until: Rfc3339 | None
    next: Annotated[str, Meta(description="Always null: there is one page")] | None = None
    position: PositionText
    complete: Annotated[
        bool, Meta(description="False: only the newest attempts of the time were counted")
    ] = True
    behind: Behind = []


class HotspotsQuestion(Question, frozen=True, kw_only=True):
    """Parameters of the question where attempts fail; times are those of their starts."""

    by: Annotated[
        Literal["component", "task", "executor", "host", "version"],
        Meta(description="What a place is; `version` is `service.version`, of a sample."),
    ] = "component"
    since: Annotated[Since, Meta(description="24 hours ago if absent.")] | None = None
    until: Until | None = None
    limit: Limit = 20


class _Row(NamedTuple):
    """A row of the statement `attempts`."""

    key: str | None
    attempts: int
    patterns: int
    last_ns: int


class _Place(NamedTuple):
    """A row of the statement `places`."""

    position: int
    pattern: int | None
    seen_ns: int


class _Counted:
    """What is counted of a place."""

    def __init__(self) -> None:
        self.attempts = self.failures = self.patterns = 0
        self.last_ns: int | None = None

    def add(self, row: _Row, *, failed: bool) -> None:
        self.attempts += row.attempts
        if failed:
            self.failures += row.attempts
            self.patterns = max(self.patterns, row.patterns)
            self.last_ns = max(self.last_ns or row.last_ns, row.last_ns)


def hotspots(inquiry: Inquiry, question: HotspotsQuestion) -> Hotspots:
    """Places with failures."""
    since, until = window(question)
    until = inquiry.now_ns if until is None else until
    since = max(until - DAY_NS, 0) if since is None else since
    found: dict[str | None, _Counted] = defaultdict(_Counted)
    complete = question.by != "version"
    for status in _STATUSES if inquiry.tenant_no is not None else ():
        values = {
            "by": question.by, "tenant": inquiry.tenant_no, "status": status, "since": since,
            "until": until, "limit": SAMPLE if question.by == "version" else LOOKED_AT,
        }  # fmt: skip
        rows = _versions(inquiry, values) if question.by == "version" else _rows(inquiry, values)
        complete = complete and sum(row.attempts for row in rows) < LOOKED_AT
        for row in rows:
            found[row.key].add(row, failed=status != words.COMPLETED)
    return Hotspots(
        items=_ranked(found)[: question.limit], since=rfc3339(since), until=rfc3339(until),
        position=str(inquiry.position), complete=complete, behind=inquiry.seen.behind,
    )  # fmt: skip


def _rows(inquiry: Inquiry, values: dict[str, Any]) -> list[_Row]:
    return list(select(inquiry.connection, SQL["attempts"], values, _Row))


def _versions(inquiry: Inquiry, values: dict[str, Any]) -> list[_Row]:
    """The same by version, which only the stored events say."""
    places = {
        one.position: one for one in select(inquiry.connection, SQL["places"], values, _Place)
    }
    by_version: dict[str | None, list[_Place]] = defaultdict(list)
    with inquiry.log.read() as reader:
        for recorded in reader.fetch(0, sorted(places)):
            said = recorded.context.resource_attributes.get("service.version")
            version = None if said is None else str(said)
            by_version[version].append(places[recorded.position])
    return [
        _Row(version, len(ones), len({one.pattern for one in ones}), max(o.seen_ns for o in ones))
        for version, ones in by_version.items()
    ]


def _ranked(found: dict[str | None, _Counted]) -> list[Hotspot]:
    failures = sum(one.failures for one in found.values())
    attempts = sum(one.attempts for one in found.values())
    ranked = sorted(found.items(), key=lambda item: (-item[1].failures, item[0] or ""))
    return [
        Hotspot(
            key=key, failures=one.failures, attempts=one.attempts,
            failure_rate=one.failures / one.attempts, share=one.failures / failures,
            lift=(one.failures / one.attempts) / (failures / attempts), patterns=one.patterns,
            last_seen=rfc3339(one.last_ns), last_seen_ns=one.last_ns,
        )
        for key, one in ranked
        if one.failures
    ]  # fmt: skip


ENDPOINTS: Final = (
    Endpoint(
        "hotspots", "Where attempts fail most: by component, task, executor, host or version.",
        HotspotsQuestion, Hotspots, ("attempts",), hotspots,
    ),
)  # fmt: skip
