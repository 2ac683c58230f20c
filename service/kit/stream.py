"""A stream of runs with chosen failures: what is tried again, when it fails more, who is out.

The plan is a function of its seed: the same options make the same runs fail in the same way. The
clock only says when a run begins.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from events.errors import BadInput
from service.kit.failures import Failures
from spanledger_sdk import Run
from spanledger_sdk import run as task_run

TASKS: Final = ("invoice.charge", "report.render", "mail.send", "index.update")
_ATTEMPTS_LIMIT: Final = 20


class Window(NamedTuple):
    """From `at_s` for `for_s` seconds of the stream `rate` of the attempts fail."""

    at_s: float
    for_s: float
    rate: float

    def holds(self, now_s: float) -> bool:
        """Whether it is so far."""
        return self.at_s <= now_s < self.at_s + self.for_s


class Plan(NamedTuple):
    """What is simulated.

    Args:
        runs: how many begin.
        per_s: runs a second.
        failure_rate: share of first attempts that fail.
        modes: categories of failures by their weight.
        retries: attempts beyond the first, at most.
        recovery_rate: share of further attempts that are well.
        windows: bursts and outages, in which another share fails.
    """

    runs: int
    per_s: float
    failure_rate: float
    modes: Mapping[str, float]
    retries: int
    recovery_rate: float
    windows: Sequence[Window] = ()
    seed: int = 0
    tasks: Sequence[str] = TASKS


class Planned(NamedTuple):
    """A run: when it begins, and how each of its attempts ends (None: well)."""

    begins_s: float
    task: str
    run_id: str
    ends: Sequence[str | None]


def planned(plan: Plan) -> Iterator[Planned]:
    """The runs, in order of their beginning."""
    chance = random.Random(plan.seed)
    words, weights = list(plan.modes), list(plan.modes.values())
    for number in range(plan.runs):
        begins_s = number / plan.per_s
        window = next((one for one in plan.windows if one.holds(begins_s)), None)
        first_fails = plan.failure_rate if window is None else window.rate
        ends: list[str | None] = []
        if chance.random() < first_fails:
            mode = chance.choices(words, weights)[0]
            ends.append(mode)
            again_fails = max(1 - plan.recovery_rate, 0.0 if window is None else window.rate)
            while len(ends) <= plan.retries and chance.random() < again_fails:
                ends.append(mode)
        if len(ends) <= plan.retries:
            ends.append(None)
        task = chance.choice(list(plan.tasks))
        yield Planned(begins_s, task, f"sim-{plan.seed}-{number}", ends)


def perform(one: Planned, failures: Failures, chance: random.Random) -> bool:
    """Make the attempts of a run, each with its real failure; whether it ended well."""
    run: Run = task_run(one.task, one.run_id, attributes={"task.simulated": True})
    last = len(one.ends) - 1
    for place, mode in enumerate(one.ends):
        try:
            with run.attempt() as attempt:
                if place < last:
                    attempt.will_retry()
                if mode is not None:
                    failures.provoke(mode, chance)
        except Exception:
            continue  # it is recorded, and that is what it is for
    return one.ends[-1] is None


def modes_of(given: Sequence[str], known: Sequence[str]) -> dict[str, float]:
    """Weights by category, of texts such as `network` and `timeout=3`.

    Raises:
        BadInput: there is no such category, or the weight is no number above 0.
    """
    found = {}
    for text in given or known:
        name, _, weight = text.partition("=")
        try:
            found[name] = float(weight or 1)
        except ValueError:
            found[name] = 0.0
        if name not in known or not 0 < found[name] < 1e9:
            raise BadInput(f"--mode {text}: write CATEGORY or CATEGORY=WEIGHT; {', '.join(known)}")
    return found


def window_of(text: str, option: str, rate: float) -> Window:
    """A window, of a text such as `30+10` (from second 30 on, for 10 seconds).

    Raises:
        BadInput: it is none.
    """
    at, _, length = text.partition("+")
    try:
        window = Window(float(at), float(length), rate)
    except ValueError:
        window = Window(-1, 0, rate)
    if not (0 <= window.at_s < 1e9 and 0 < window.for_s < 1e9):
        raise BadInput(f"{option} {text}: write START+SECONDS, such as 30+10")
    return window
