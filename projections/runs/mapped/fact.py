"""From what mapping rules place in runs to facts: what is said becomes status, source and error."""

from typing import Final

import msgspec

from projections.mapping.join.placed import Outcome, Placed
from projections.runs import words
from projections.runs.facts import FACT_ID, SpanFact
from projections.runs.failing import error_no
from projections.runs.more import Mapped, More, MoreAttributes, more_of
from projections.runs.registry.numbers import Registry
from projections.runs.times import parse_ns
from projections.storage.columns import maker

_NO_ERROR: Final = frozenset({words.COMPLETED, words.SKIPPED})
_NOTHING: Final = More()
_fact_of = maker(SpanFact, Placed, own=("event_id", "max_attempts", "more"))


def fact_of(placed: Placed, registry: Registry, tenant_no: int) -> SpanFact:
    """The fact of a span, or of one attempt within it. Its id is the fact's; the event is known
    by its place in the log."""
    where = (
        placed.executor, placed.queue, placed.tool, placed.model, placed.planner, placed.host,
        placed.component, placed.environment, placed.system, f"{placed.rule}@{placed.rule_version}",
    )  # fmt: skip
    status = placed.outcome.status
    told = _tells_error(placed, status)
    return _fact_of(
        placed,
        event_id=placed.fact_id[FACT_ID],
        source_no=registry.source_no(tenant_no, where),
        max_attempts=placed.max_attempts or None,
        more=_more(placed, registry, tenant_no),
        status=status,
        error=placed.error_seen if told else 0,
        error_no=_error_no(placed, status, registry, tenant_no) if told else None,
        message_no=_message_no(placed, registry) if told else None,
        group_id=placed.group,
        queued_ns=parse_ns(placed.queued_at),
    )


def _message_no(placed: Placed, registry: Registry) -> int | None:
    text = placed.error_message
    return registry.message_no_among(placed.partition, placed.position, text) if text else None


def _tells_error(placed: Placed, status: int) -> bool:
    return status not in _NO_ERROR and (status != words.RUNNING or placed.error_seen > 1)


def _error_no(placed: Placed, status: int, registry: Registry, tenant_no: int) -> int:
    said = placed.error_type, placed.error_message or "", placed.error_stack or ""
    return error_no(registry, tenant_no, status, said, placed.error_told)


def _more(placed: Placed, registry: Registry, tenant_no: int) -> More:
    said = more_of(MoreAttributes(**placed.more)) if placed.more else None
    retry = placed.outcome.will_retry
    if said is None:
        said = _NOTHING
    return msgspec.structs.replace(
        said,
        will_retry=said.will_retry if retry is None else retry,
        mapped=_mapped(placed, placed.if_later, registry, tenant_no),
    )


def _mapped(placed: Placed, later: Outcome | None, registry: Registry, tenant_no: int) -> Mapped:
    flags = words.FLAG_OUTCOME_INFERRED if placed.outcome.inferred else 0
    if later is None:
        return Mapped(flags, only_ends=placed.only_ends)
    error = None
    if _tells_error(placed, later.status):
        error = _error_no(placed, later.status, registry, tenant_no)
    return Mapped(flags, later.status, later.will_retry, error, placed.only_ends)
