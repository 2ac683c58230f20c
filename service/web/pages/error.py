"""`/errors/{fingerprint}`: one error pattern: why these are the same, and one failure in full."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from service.web.charts.columns import Column, columns
from service.web.pages.lists import Listed, listed
from service.web.rendering import moment
from service.web.stacks import stack_lines, stack_of
from service.web.visit import Page, Shown, Table, Visit

_CHART: Final = "500"
_BUCKETS: Final = 48
_ROWS: Final = 20


class Shares(NamedTuple):
    """What the occurrences at hand have in common: the commonest values of one field."""

    label: str
    name: str
    values: Sequence[tuple[str, float]]


def error(visit: Visit) -> Shown | Table:
    """One pattern, its occurrences, and the one that is looked at."""
    (fingerprint,) = visit.arguments
    chosen = visit.parameters["n"]
    found = listed(
        visit.leaving_out("n"), "errors/{fingerprint}/occurrences", fingerprint, rows=_ROWS
    )
    if isinstance(found, Table):
        return found
    pattern = visit.ask("errors/{fingerprint}", fingerprint)
    items = found.page.items
    is_number = chosen.isascii() and chosen.isdigit() and len(chosen) < 9
    at = min(int(chosen), len(items) - 1) if is_number and items else 0
    sample = visit.ask(
        "errors/{fingerprint}/occurrences", fingerprint, limit=_CHART
    ).items  # fmt: skip
    values = {
        "pattern": pattern,
        "page": found.page, "filters": found.filters, "given": visit.parameters,
        "at_number": at,
        "occurrence": items[at] if items else None,
        "stack": _stack(visit, items[at]) if items else [],
        "around": _around(found, at),
        "shares": _shares(sample), "sample": len(sample),
        "trend": _trend(sample),
    }  # fmt: skip
    return Shown("error.html.j2", pattern.type or "Error", values)


def _stack(visit: Visit, occurrence: Any) -> Sequence[Any]:
    """The stack of a failure, from the event that it came from."""
    one = visit.ask(
        "attempts/{attempt_id}", occurrence.attempt_id,
        task=occurrence.task_id, run=occurrence.run_id,
    )  # fmt: skip
    stack = stack_of(one.span or one.log)
    return stack_lines(stack) if stack else []


def _around(found: Listed, at: int) -> dict[str, dict[str, str] | None]:
    """Parameters of the failures after (newer) and before (older) the one that is looked at."""
    newer = {**found.filters, "n": str(at - 1)} if at else None
    older: dict[str, str] | None = None
    if at + 1 < len(found.page.items):
        older = {**found.filters, "n": str(at + 1)}
    elif found.page.next:
        older = {**found.filters, "cursor": found.page.next}
    return {"newer": newer, "older": older}


def _shares(sample: Sequence[Any]) -> list[Shares]:
    """The commonest values of what occurrences say of themselves, where it tells something."""
    found = []
    for label, name in (
        ("Task", "task_id"), ("Executor", "executor"), ("Model", "model"), ("Host", "host"),
        ("Component", "component"), ("Try", "attempt"), ("Queue", "queue"),
    ):  # fmt: skip
        counts: dict[str, int] = {}
        for one in sample:
            value = getattr(one, name)
            if value is not None:
                counts[str(value)] = counts.get(str(value), 0) + 1
        top = sorted(counts.items(), key=lambda each: (-each[1], each[0]))[:4]
        if top:
            found.append(Shares(label, name, [(v, n / len(sample)) for v, n in top]))
    return found


def _trend(sample: Sequence[Any]) -> Any:
    """Columns of the occurrences at hand along time."""
    if not sample:
        return None
    first, last = sample[-1].seen_ns, sample[0].seen_ns
    width_ns = max((last - first) // _BUCKETS + 1, 60 * 10**9)
    counts = [[0, 0] for _ in range((last - first) // width_ns + 1)]
    for one in sample:
        counts[(one.seen_ns - first) // width_ns][0 if one.recovered else 1] += 1
    data = [
        Column(good, bad, f"{moment(first + n * width_ns)}: {bad} lost, {good} recovered")
        for n, (good, bad) in enumerate(counts)
    ]
    return columns(data, words=("recovered", "lost"))


PAGES: Final = (Page("errors/{fingerprint}", error),)
