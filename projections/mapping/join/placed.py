"""What joining gives: facts with the run that they belong to."""

from typing import Any, NamedTuple

import msgspec


class RunKey(NamedTuple):
    """What identifies a run."""

    tenant: str
    task_id: str
    run_id: str


class Outcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How an attempt ended: a status of `projections.runs.words`, by number.

    `inferred`: concluded, not said. `unknown_word`: what the sender said, if no rule knows it.
    """

    status: int
    inferred: bool
    will_retry: bool | None
    unknown_word: str | None = None


class Placed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A span, or one attempt within it, as a fact of a run.

    Within its run `fact_id` is its own; the same fact placed again is equal, field by field.
    `number` is as the rule says, None for the order of start. `if_later` is the outcome once a
    later attempt of the run is known, where that makes a difference. `queues`: it only put the
    task into a queue. `error_seen`: 0 no error told, 1 by attributes or the span's status, 2 by an
    exception. `error_told`: the attributes that tell which error it is. `more` are raw values of
    `projections.runs.more`. `inferred` names the fields that are concluded. `only_ends`: see
    `projections.runs.more.Mapped`.
    """

    run: RunKey
    fact_id: bytes
    event_id: bytes
    partition: int
    position: int
    trace_id: bytes
    span_id: bytes
    parent_span_id: bytes
    start_ns: int
    end_ns: int
    number: int | None
    outcome: Outcome
    if_later: Outcome | None
    queues: bool
    system: str
    rule: str
    rule_version: int
    name: str | None
    group: str | None
    queued_at: Any
    max_attempts: int | None
    executor: str | None
    queue: str | None
    tool: str | None
    model: str | None
    planner: str | None
    host: str | None
    component: str | None
    environment: str | None
    error_seen: int
    error_type: str | None
    error_message: str | None
    error_stack: str | None
    error_told: dict[str, Any]
    more: dict[str, Any]
    inferred: tuple[str, ...]
    only_ends: bool = False


class Arrival(NamedTuple):
    """What observations changed: take away first, then add.

    A fact whose content changed is in both, under the same id.
    """

    retracted: list[tuple[RunKey, bytes]]
    placed: list[Placed]
