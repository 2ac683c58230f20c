"""The attempts of a service against what the programs say they did."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from tests.orchestrators.programs.truth import Try
from tests.serving import Service

CAUGHT_UP_S: Final = 90.0
SLACK_NS: Final = 15_000_000_000
"""How much earlier than the program an attempt may start, and how much later it may end: what
an orchestrator does around it, on a busy machine."""


@dataclass(frozen=True)
class Known:
    """What an orchestrator's telemetry tells of a try; empty where it cannot be known."""

    status: str
    error_type: str = ""
    error: str = ""
    at_all: bool = True
    """Whether it is sure to be told: a process that is killed may have sent its span or not."""
    when: bool = True
    """Whether its times are told."""


Telling = Callable[[Try], Known | None]
"""What is known of a try; None if there is no trace of it."""

Key = tuple[str, str, int]


def usual(one: Try) -> Known | None:
    """Whoever returned is completed, whoever raised has failed; of the killed nothing is known."""
    if one.outcome == "returned":
        return Known("completed")
    return Known("failed", one.error_type, one.error) if one.outcome else None


def attempts_of(service: Service) -> dict[Key, dict[str, Any]]:
    """All attempts of a service by task, run and number."""
    answer = service.ask("/api/v1/attempts?limit=1000")
    assert answer["next"] is None
    found: dict[Key, dict[str, Any]] = {}
    for item in answer["items"]:
        key = (item["task_id"], item["run_id"], item["attempt"])
        assert key not in found, f"two attempts are {key}"
        found[key] = item
    return found


def compare(service: Service, tries: Iterable[Try], tells: Telling) -> dict[Key, dict[str, Any]]:
    """Wait until the attempts are those of the truth, and return them.

    Raises:
        AssertionError: they did not become so; the message has every difference.
    """
    expected = {(one.task, one.run, one.n): (one, told) for one in tries if (told := tells(one))}
    until_s = time.monotonic() + CAUGHT_UP_S
    while True:
        found = attempts_of(service)
        wrong = [*_differences(expected, found), *_broken_chains(found)]
        if not wrong:
            return found
        assert time.monotonic() < until_s, "\n".join(wrong)
        time.sleep(0.5)


def _differences(
    expected: dict[Key, tuple[Try, Known]], found: dict[Key, dict[str, Any]]
) -> Iterable[str]:
    for key in expected.keys() - found.keys():
        if expected[key][1].at_all:
            yield f"missing: {key} {expected[key][1]}"
    for key in found.keys() - expected.keys():
        yield f"nobody did: {key} {found[key]['status']}"
    for key in expected.keys() & found.keys():
        yield from (f"{key}: {wrong}" for wrong in _wrong(*expected[key], found[key]))


def _wrong(one: Try, known: Known, attempt: dict[str, Any]) -> Iterable[str]:
    if attempt["status"] != known.status:
        yield f"is {attempt['status']}, not {known.status}"
    error = attempt["error"] or {}
    if known.error_type and error.get("type") != known.error_type:
        yield f"error {error.get('type')}, not {known.error_type}"
    if known.error not in (error.get("message") or ""):
        yield f"says {error.get('message')!r}, not {known.error!r}"
    if not known.when:
        return
    if not one.start_ns - SLACK_NS < attempt["started_ns"] <= one.start_ns:
        yield f"starts {(attempt['started_ns'] - one.start_ns) / 1e9:.3f} s from the truth"
    if one.end_ns and not one.end_ns <= (attempt["ended_ns"] or 0) < one.end_ns + SLACK_NS:
        yield f"ends {((attempt['ended_ns'] or 0) - one.end_ns) / 1e9:.3f} s from the truth"


def _broken_chains(found: dict[Key, dict[str, Any]]) -> Iterable[str]:
    """Each attempt tries the one before it again, and the first none."""
    runs = defaultdict(dict)
    for (task, run, number), attempt in found.items():
        runs[task, run][number] = attempt
    for key, numbered in runs.items():
        for number, attempt in numbered.items():
            before = numbered.get(number - 1, {}).get("attempt_id")
            if attempt["retry_of"] != before:
                yield f"{key}: attempt {number} is a retry of {attempt['retry_of']}, not {before}"
