"""The records of a policy file: rules, their conditions, and the settings that they make.

A setting that a rule does not name is None, and comes from a less specific rule.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from projections.errors.classify.rule import Category

ID: Final = r"^[a-zA-Z0-9][a-zA-Z0-9._-]{0,99}$"
Name = Annotated[str, Meta(min_length=1, max_length=1024)]
Glob = Name | tuple[Name, ...]
Seconds = Annotated[float, Meta(ge=0, le=31_536_000)]
Action = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
BUILT_IN_ACTIONS: Final = ("clean_temporary", "reconnect", "extend_timeout", "renew_credentials")
"""What the SDK knows how to do, given what it needs for it; others are the program's own."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of the file: unknown keys are refused."""


class Condition(Record, frozen=True, kw_only=True):
    """Which cases a rule is for: all that is named must hold; of a list, one.

    `*` stands for any letters in `task`, `component` and `environment`.
    """

    error: Glob | None = None  # a fingerprint
    task: Glob | None = None  # `task.id`, or its name
    component: Glob | None = None  # `service.name` of the sender
    environment: Glob | None = None  # `deployment.environment.name`
    category: Category | tuple[Category, ...] | None = None

    def asked(self) -> Iterator[tuple[str, list[str]]]:
        """What it asks for, each as a list."""
        for key in WEIGHTS:
            if (value := getattr(self, key)) is not None:
                yield key, list(_texts(value))


class Backoff(Record, frozen=True, kw_only=True):
    """How long to wait before attempt n + 1, once attempt n failed."""

    kind: Literal["none", "constant", "linear", "exponential"] | None = None
    base_s: Seconds | None = None  # before the second attempt
    factor: Annotated[float, Meta(ge=1, le=100)] | None = None  # of `exponential`
    cap_s: Seconds | None = None
    jitter: Literal["none", "equal", "full"] | None = None


class Timeout(Record, frozen=True, kw_only=True):
    """How long an attempt may take; longer after a timeout, if `extend_timeout` is an action."""

    attempt_s: Seconds | None = None
    factor: Annotated[float, Meta(ge=1, le=100)] | None = None
    cap_s: Seconds | None = None


class Escalation(Record, frozen=True, kw_only=True):
    """When people hear of it, and who."""

    after_attempts: Annotated[int, Meta(ge=0, le=1000)] | None = None  # 0: never by number
    exhausted: bool | None = None  # when no attempt is left
    permanent: bool | None = None  # at once, if it will not pass by itself
    to: Annotated[str, Meta(max_length=256)] | None = None


class Circuit(Record, frozen=True, kw_only=True):
    """When a component is left alone for a while: so many failures in a row, within so long."""

    failures: Annotated[int, Meta(ge=0, le=100_000)] | None = None  # 0: never
    window_s: Seconds | None = None
    open_s: Seconds | None = None


class Evidence(Record, frozen=True, kw_only=True):
    """What past retries must show, where there were enough of them, so that one more is made."""

    min_success: Annotated[float, Meta(ge=0, le=1)] | None = None
    min_samples: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class Settings(Record, frozen=True, kw_only=True):
    """What a rule may say."""

    retry: Literal["never", "transient", "unless_permanent", "always"] | None = None
    max_attempts: Annotated[int, Meta(ge=1, le=1000)] | None = None  # the first one included
    max_elapsed_s: Seconds | None = None  # of the run, waits included; 0: no bound
    max_wait_s: Seconds | None = None  # the longest Retry-After that is waited for
    repairs: Annotated[int, Meta(ge=0, le=100)] | None = None  # of a permanent error, by actions
    actions: tuple[Action, ...] | None = None
    backoff: Backoff | None = None
    timeout: Timeout | None = None
    escalate: Escalation | None = None
    circuit: Circuit | None = None
    evidence: Evidence | None = None


class Rule(Settings, frozen=True, kw_only=True):
    """Settings for the cases that a condition takes."""

    id: Annotated[str, Meta(pattern=ID)]
    when: Condition = Condition()


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a failure, as far as conditions ask."""

    fingerprint: str = ""
    task: str = ""
    task_name: str = ""
    component: str = ""
    environment: str = ""
    category: str = "unknown"


WEIGHTS: Final[Mapping[str, int]] = {
    "error": 16, "task": 8, "component": 4, "environment": 2, "category": 1,
}  # fmt: skip
"""What makes a rule specific. An error pattern outweighs all others together, and so on."""


def is_met(when: Condition, case: Case) -> bool:
    """Whether a condition takes a case."""
    return (
        _holds(when.error, case.fingerprint.lower(), lower=True)
        and (_holds(when.task, case.task) or _holds(when.task, case.task_name))
        and _holds(when.component, case.component)
        and _holds(when.environment, case.environment)
        and _holds(when.category, case.category)
    )


def specificity(when: Condition) -> tuple[int, int]:
    """How specific a condition is: by what it asks for, then by how many without `*`."""
    asked = dict(when.asked())
    exact = sum(not any("*" in one for one in values) for values in asked.values())
    return sum(WEIGHTS[key] for key in asked), exact


def _holds(wanted: str | tuple[str, ...] | None, value: str, *, lower: bool = False) -> bool:
    if wanted is None:
        return True
    return any(_fits(one.lower() if lower else one, value) for one in _texts(wanted))


def _fits(wanted: str, value: str) -> bool:
    if "*" not in wanted:
        return wanted == value
    return fnmatchcase(value, wanted.replace("[", "[[]").replace("?", "[?]"))


def _texts(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value
