"""The local copy of the policies: rules as the service lists them, the strongest first.

What is decided here is what the service would decide without history; a test compares both.
"""

import email.utils
import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from fnmatch import fnmatchcase
from importlib import resources
from typing import Any, Final

_BARE: Final[Mapping[str, Any]] = {
    "retry": "never", "max_attempts": 1, "max_elapsed_s": 0.0, "max_wait_s": 900.0, "repairs": 0,
    "actions": (), "backoff.kind": "none", "backoff.base_s": 0.0, "backoff.factor": 2.0,
    "backoff.cap_s": 60.0, "backoff.jitter": "none", "timeout.attempt_s": 0.0,
    "timeout.factor": 1.0, "timeout.cap_s": 0.0, "circuit.failures": 0, "circuit.window_s": 60.0,
    "circuit.open_s": 30.0,
}  # fmt: skip
_SHARE: Final = {"none": 1.0, "equal": 0.5, "full": 0.0}
_LONGEST_S: Final = 31_536_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What failed where, and how often so far."""

    category: str = "unknown"
    transient: bool | None = None
    fingerprint: str = ""
    task: str = ""
    task_name: str = ""
    component: str = ""
    environment: str = ""
    attempts: int = 1
    elapsed_s: float = 0.0
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done; the fields are those of the service's answer."""

    retry: bool
    reason: str
    delay_s: float = 0.0
    repair: bool = False
    actions: Sequence[str] = ()
    max_attempts: int = 1
    timeout_s: float | None = None
    category: str = "unknown"
    policies: str = ""
    helped: Mapping[str, str] = field(default_factory=dict)
    """By action, what the service knows of it: the actions are in the order of that."""


class Rules:
    """A copy of the policies; immutable.

    Args:
        document: as `GET /api/v1/policies` answers.

    Raises:
        KeyError, TypeError, ValueError: it is none.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.digest = str(document["digest"])
        self._items = [(dict(one["when"]), dict(one["settings"])) for one in document["items"]]

    def settings(self, case: Case) -> dict[str, Any]:
        """Every setting from the strongest rule that makes it."""
        found: dict[str, Any] = {}
        for when, settings in self._items:
            if all(_holds(key, wanted, case) for key, wanted in when.items()):
                found = {**settings, **found}
        return {**_BARE, **found}

    def decide(self, case: Case, luck: float | None = None) -> Decision:
        """What is to be done about a failure.

        Args:
            luck: a random number, 0 to 1, that jitter is made of.
        """
        values = self.settings(case)
        least_s, most_s = pause_after(case.attempts, values)
        if case.retry_after_s is not None:
            least_s, most_s = max(least_s, case.retry_after_s), max(most_s, case.retry_after_s)
        reason, exhausted = _refusal(values, case, least_s)
        left = case.attempts <= values["repairs"] and case.attempts < values["max_attempts"]
        never = values["retry"] == "never"
        repair = bool(reason and not exhausted and left and values["actions"] and not never)
        chance = random.random() if luck is None else luck
        goes_on = not reason or repair
        return Decision(
            retry=not reason, reason=reason or _going_on(values, case),
            delay_s=round(least_s + (most_s - least_s) * chance, 3) if goes_on else 0.0,
            repair=repair, actions=tuple(values["actions"]) if goes_on else (),
            max_attempts=values["max_attempts"], timeout_s=timeout_after(case, values),
            category=case.category, policies=self.digest,
        )  # fmt: skip


_PASSES: Final = {
    True: "it will pass", False: "it will not pass by itself", None: "nobody can tell",
}  # fmt: skip


def _going_on(values: Mapping[str, Any], case: Case) -> str:
    """Why there is another attempt, in the words of the service."""
    of = f"attempt {case.attempts + 1} of {values['max_attempts']}"
    return f"{_PASSES[case.transient]}: {of} follows"


def _refusal(values: Mapping[str, Any], case: Case, least_s: float) -> tuple[str, bool]:
    """Why there is no other attempt, and whether a bound is reached; "" if there is one."""
    word = values["retry"]
    if word == "never":
        return "the policy never retries here", False
    if case.transient is False and word != "always":
        return "it will not pass by itself", False
    if case.transient is None and word == "transient":
        return "nobody can tell whether it will pass", False
    reached = _reached(values, case, least_s)
    return reached, bool(reached)


def _reached(values: Mapping[str, Any], case: Case, least_s: float) -> str:
    """The bound that is reached; "" if none is."""
    asked_s, bound_s = case.retry_after_s, values["max_elapsed_s"]
    if case.attempts >= values["max_attempts"]:
        return f"{case.attempts} of {values['max_attempts']} attempts were made"
    if asked_s is not None and asked_s > values["max_wait_s"]:
        return f"the peer asked for {asked_s:g} s"
    if bound_s and case.elapsed_s + least_s > bound_s:
        return f"the run would be beyond its bound of {bound_s:g} s"
    return ""


def pause_after(failed: int, values: Mapping[str, Any]) -> tuple[float, float]:
    """The least and the longest pause after so many failed attempts."""
    kind, base_s = values["backoff.kind"], values["backoff.base_s"]
    if kind == "none":
        return 0.0, 0.0
    if kind == "exponential":
        try:
            pause_s = base_s * values["backoff.factor"] ** (failed - 1)
        except OverflowError:
            pause_s = _LONGEST_S if base_s else 0.0
    else:
        pause_s = base_s * (failed if kind == "linear" else 1)
    most_s = min(pause_s, values["backoff.cap_s"], _LONGEST_S)
    return most_s * _SHARE[values["backoff.jitter"]], most_s


def timeout_after(case: Case, values: Mapping[str, Any]) -> float | None:
    """How long the next attempt may take; None: there is no bound."""
    base_s = values["timeout.attempt_s"]
    if not base_s:
        return None
    if "extend_timeout" not in values["actions"] or case.category != "timeout":
        return float(base_s)
    try:
        longer_s = base_s * values["timeout.factor"] ** case.attempts
    except OverflowError:
        longer_s = _LONGEST_S
    return float(min(longer_s, values["timeout.cap_s"] or base_s))


def retry_after_s(given: Any, now_s: float) -> float | None:
    """The seconds that a `Retry-After` asks for; None if it cannot be read."""
    try:
        seconds = float(given)
    except (TypeError, ValueError, OverflowError):
        try:
            when = email.utils.parsedate_to_datetime(str(given))
        except (TypeError, ValueError, OverflowError):
            return None
        when = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
        seconds = when.timestamp() - now_s
    return min(max(seconds, 0.0), _LONGEST_S) if seconds == seconds else None  # noqa: PLR0124


def _holds(key: str, wanted: Sequence[str], case: Case) -> bool:
    if key == "error":
        return any(_fits(one.lower(), case.fingerprint.lower()) for one in wanted)
    if key == "task":
        return any(_fits(one, case.task) or _fits(one, case.task_name) for one in wanted)
    value = getattr(case, key, None)  # None: of a newer service
    return value is not None and any(_fits(one, value) for one in wanted)


def _fits(wanted: str, value: str) -> bool:
    if "*" not in wanted:
        return wanted == value
    return fnmatchcase(value, wanted.replace("[", "[[]").replace("?", "[?]"))


def shipped() -> Rules:
    """The policies that the service ships, for programs that never reached one."""
    text = resources.files("spanledger_sdk.recovery").joinpath("shipped.json").read_text("utf-8")
    return Rules(json.loads(text))


def name_of(endpoint: str, tenant: str) -> str:
    """The name of the file that a copy is kept in."""
    digest = hashlib.sha256(f"{endpoint}\n{tenant}".encode()).hexdigest()[:16]
    return f"policies-{digest}.json"
