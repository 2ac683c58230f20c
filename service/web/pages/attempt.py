"""`/attempts/{id}`: one try: its error and stack, the event that it came from, its neighbours."""

from typing import Any, Final

import msgspec

from service.web.charts.tries import tries_of
from service.web.comparison import compared
from service.web.stacks import stack_lines, stack_of
from service.web.visit import Page, Shown, Visit

_RAW_CHARACTERS: Final = 40_000
_TRIES: Final = "50"
WITHIN_S: Final = 0.25
"""In which an attempt is looked for by its id alone: among some 100,000, the newest first."""


def attempt(visit: Visit) -> Shown:
    """One attempt."""
    visit.refuse_others("task", "run")
    (attempt_id,) = visit.arguments
    given = visit.parameters
    one = visit.ask(
        "attempts/{attempt_id}", attempt_id, within_s=WITHIN_S, task=given["task"] or None,
        run=given["run"] or None,
    )  # fmt: skip
    tries = visit.ask("attempts", task=one.task_id, run=one.run_id, sort="started", limit=_TRIES)
    by_number = {each.attempt: each for each in tries.items}
    beside = [by_number.get(one.attempt + by) for by in (-1, 1)]
    event = one.span or one.log
    stack = stack_of(event)
    pair = (
        compared(one, beside[1]) if beside[1] else compared(beside[0], one) if beside[0] else None
    )
    values = {
        "attempt": one,
        "event": event,
        "stack": stack_lines(stack) if stack else [],
        "raw": _raw(event),
        "elsewhere": visit.elsewhere(one.trace_id),
        "previous": beside[0],
        "following": beside[1],
        "compared": pair,
        "chart": tries_of(tries.items, visit.now_ns) if len(tries.items) > 1 else None,
    }
    return Shown("attempt.html.j2", f"Try {one.attempt} of {one.task_id}", values)


def _raw(event: Any) -> str:
    """An event as indented JSON, the beginning of a long one."""
    if event is None:
        return ""
    text = msgspec.json.format(msgspec.json.encode(event), indent=2).decode()
    if len(text) <= _RAW_CHARACTERS:
        return text
    return f"{text[:_RAW_CHARACTERS]}\n… {len(text) - _RAW_CHARACTERS:,} characters more"


PAGES: Final = (Page("attempts/{attempt_id}", attempt),)
