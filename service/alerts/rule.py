"""What stands in `alerts.toml`, as records: rules, receivers, maintenance, percepts.

A rule's `when` says what is measured; each kind has keys of its own beside those that all have.
The bounds stand in the types: `service.alerts.file` turns what breaks them into messages.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from events import names
from events.times import SECOND_NS


class Span(int):
    """A duration in nanoseconds, written as `90s`, `15m`, `1h30m`, `2d`, `1w`; 0 is `0s`."""


def span(seconds: float) -> Span:
    """A duration of so many seconds."""
    return Span(int(seconds * SECOND_NS))


Severity = Literal["critical", "error", "warning", "info"]
Grouping = Literal["all", "task", "component", "executor", "error"]
PlainGrouping = Literal["all", "task", "component", "executor"]
"""Of what has no error."""
Counted = Literal["runs", "attempts"]
Name = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9][A-Za-z0-9._ -]*$")]
Text = Annotated[str, Meta(min_length=1, max_length=1000)]
Tenant = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
Count = Annotated[int, Meta(ge=1, le=20_000)]
Share = Annotated[float, Meta(gt=0, lt=1)]
Labels = dict[
    Annotated[str, Meta(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,63}$")],
    Annotated[str, Meta(max_length=500)],
]

_HOUR: Final = span(3600)


class Rule(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="when",
    rename={"hold": "for"},
):  # fmt: skip
    """What every rule has.

    Args:
        task, component, executor: only of these; in `task`, `*` and `?` stand for any characters.
        hold: how long it must be so before the alert fires.
        keep: how long it must not be so before it is resolved.
        cool_down: the least time between two notices that one alert fires.
        repeat_every: how often a firing alert is told again; 0: once.
        notify: names of receivers; None: all of them.
    """

    name: Name
    severity: Severity = "error"
    tenant: Tenant = names.DEFAULT_TENANT
    task: Text | None = None
    component: Text | None = None
    executor: Text | None = None
    hold: Span = span(0)
    keep: Span = span(0)
    cool_down: Span = span(600)
    repeat_every: Span = span(4 * 3600)
    notify: tuple[Name, ...] | None = None
    labels: Labels = {}
    runbook: Text | None = None

    @property
    def kind(self) -> str:
        """Its `when`."""
        return str(self.__struct_config__.tag)


class TerminalFailures(Rule, frozen=True, kw_only=True, tag="terminal_failures"):
    """Runs that failed for good: their last attempt did, and nothing repeats it.

    A failure counts at once where no attempt was left (`task.max_attempts`), else when none has
    begun for `settle`.
    """

    window: Span = _HOUR
    at_least: Count = 1
    settle: Span = span(30)
    group_by: Grouping = "task"


class NewError(Rule, frozen=True, kw_only=True, tag="new_error"):
    """An error pattern that was never seen before."""

    window: Span = _HOUR
    settle: Span = span(30)
    only_terminal: bool = True


class Regression(Rule, frozen=True, kw_only=True, tag="regression"):
    """An error pattern that is back after it was not seen for `quiet`."""

    quiet: Span = span(7 * 86400)
    window: Span = _HOUR
    settle: Span = span(30)
    only_terminal: bool = True


class OfState(Rule, frozen=True, kw_only=True):
    """An error pattern that is in a state, as its page says it, and was seen within `window`.

    The states and how they are concluded: `projections.views.error_patterns.answers.course`.
    """

    window: Span = _HOUR
    settle: Span = span(30)
    only_terminal: bool = True


class New(OfState, frozen=True, kw_only=True, tag="new"):
    """One that was first seen less than a day ago."""


class Regressed(OfState, frozen=True, kw_only=True, tag="regressed"):
    """One that came back after 14 days without, or after somebody resolved it."""


class Escalating(OfState, frozen=True, kw_only=True, tag="escalating"):
    """One that is seen far more often than on a usual day."""


class FailureRate(Rule, frozen=True, kw_only=True, tag="failure_rate"):
    """More than `above` failures in `window`."""

    above: Annotated[int, Meta(ge=0, lt=20_000)]
    window: Span = span(300)
    of: Counted = "runs"
    settle: Span = span(30)
    group_by: Grouping = "all"


class SuccessRate(Rule, frozen=True, kw_only=True, tag="success_rate"):
    """A share of successes below `below`, of at least `at_least` that ended."""

    below: Annotated[float, Meta(gt=0, le=1)]
    window: Span = span(900)
    at_least: Count = 20
    of: Counted = "runs"
    settle: Span = span(30)
    group_by: PlainGrouping = "all"


class Duration(Rule, frozen=True, kw_only=True, tag="duration"):
    """Completed attempts that took longer than `above`, at the quantile."""

    above: Span
    quantile: Share = 0.95
    window: Span = span(900)
    at_least: Count = 20
    group_by: PlainGrouping = "all"


class QueueWait(Rule, frozen=True, kw_only=True, tag="queue_wait"):
    """Attempts that waited longer than `above` for their start, or wait still, at the quantile."""

    above: Span
    quantile: Share = 0.95
    window: Span = span(900)
    at_least: Count = 1
    group_by: PlainGrouping = "all"


class Silence(Rule, frozen=True, kw_only=True, tag="silence"):
    """No attempt started or ended for longer than `above`, of what was heard of before."""

    above: Span


class ProjectionLag(Rule, frozen=True, kw_only=True, tag="projection_lag"):
    """A projection that is further behind the log than `above`; of all tenants."""

    above: Span = span(60)


AnyRule = (
    TerminalFailures | NewError | Regression | New | Regressed | Escalating | FailureRate
    | SuccessRate | Duration | QueueWait | Silence | ProjectionLag
)  # fmt: skip

Kind = Literal["webhook", "slack", "pagerduty", "alertmanager"]


class Receiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom notices are sent to. `url` and `secret` may hold secrets: no message repeats them.

    Args:
        secret: of `webhook`, what its requests are signed with; of `pagerduty`, the routing key.
        url_file, secret_file: files that hold them instead.
        resolved: whether it is told that an alert is over.
        alerts: whether rules that name no receivers tell it.
    """

    name: Name
    type: Kind
    url: Annotated[str, Meta(max_length=4096)] = ""
    url_file: str = ""
    secret: Annotated[str, Meta(max_length=4096)] = ""
    secret_file: str = ""
    headers: dict[str, str] = {}
    resolved: bool = True
    alerts: bool = True
    timeout: Span = span(10)


class Percepts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A subscription: webhooks that are told of every finished run that is new enough.

    Args:
        task: only of the task with exactly this id.
        min_novelty: from 0, every run, to 1.
    """

    name: Name
    notify: Annotated[tuple[Name, ...], Meta(min_length=1)]
    tenant: Tenant = names.DEFAULT_TENANT
    task: Text | None = None
    min_novelty: Annotated[float, Meta(ge=0, le=1)] = 0.5


class Maintenance(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True,
    rename={"begin": "from", "end": "until"},
):  # fmt: skip
    """A time in which alerts are seen and not told.

    Once: `from` and `until` are RFC 3339 times. Again and again: they are times of day in `zone`,
    on the `days` on which the time begins (all of them if none is named).
    """

    begin: str
    end: str
    name: str = ""
    rules: tuple[Name, ...] = ()
    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = ()
    zone: str = "UTC"


class AlertsFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file; without a rule, alerts are of terminal failures.

    Args:
        every: the time between two evaluations.
        link: what links in notices begin with: the address of the web pages.
        give_up: how long a notice is tried before it is left.
    """

    every: Span = span(10)
    link: Annotated[str, Meta(max_length=1000)] = ""
    give_up: Span = span(86400)
    rule: tuple[AnyRule, ...] = (TerminalFailures(name="terminal failures"),)
    receiver: tuple[Receiver, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    percepts: tuple[Percepts, ...] = ()
