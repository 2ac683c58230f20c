"""The methods of Jaeger's remote storage, each a function of a request and a tenant."""

import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

from events.errors import BadInput
from events.schema import Span
from projections.views.spans.search import END_NS, Query
from projections.views.spans.tokens import ANY, seed_of, token
from service.jaeger.criteria import KINDS, query_of
from service.jaeger.messages import message
from service.traces.stored import Found, StoredTraces
from service.traces.summary import calls, summarise

_ID_BYTES: Final = 16
_DEFAULT_DEPTH: Final = 100
_MOST_DEPTH: Final = 10_000
_SUMMARIES_AT_ONCE: Final = 50
_DEPENDENCY_SPANS: Final = 50_000
"""The newest spans of a time by which it is told who calls whom, at most."""
_SOURCE: Final = "spanledger"


class Storage:
    """Answers requests; a method's name is that of the service. Streams are of encoded messages.

    All raise:
        BadInput: the request cannot be answered as it is.
        SearchOff: it needs the index, which is switched off.
        Unavailable: there is nothing to read yet.
    """

    def __init__(self, traces: StoredTraces, budget_s: float) -> None:
        self._traces = traces
        self._budget_s = budget_s

    def GetTraces(self, request: Any, tenant: str) -> Iterator[bytes]:
        """The traces of some ids, one behind the other; unknown ones are left out."""
        wanted = dict.fromkeys(_checked(parameters.trace_id) for parameters in request.query)
        for trace_id in wanted:
            yield from self._traces.chunks(tenant, trace_id)

    def GetServices(self, request: Any, tenant: str) -> Any:
        """The names of all services."""
        with self._traces.searching() as search:
            return message("GetServicesResponse")(services=search.services(tenant))

    def GetOperations(self, request: Any, tenant: str) -> Any:
        """The names of a service's spans, of one kind if the request names one."""
        with self._traces.searching() as search:
            found = search.operations(tenant, request.service)
        answer = message("GetOperationsResponse")()
        for name, kind in found:
            word = KINDS[kind] if kind < len(KINDS) else ""
            if request.span_kind in ("", word):
                answer.operations.add(name=name, span_kind=word)
        return answer

    def FindTraces(self, request: Any, tenant: str) -> Iterator[bytes]:
        """The traces with a span that fits, whole."""
        for found in self._found(request, tenant):
            yield from self._traces.chunks(tenant, found.trace_id)

    def FindTraceIDs(self, request: Any, tenant: str) -> Any:
        """Their ids."""
        answer = message("FindTraceIDsResponse")()
        for found in self._found(request, tenant):
            added = answer.trace_ids.add(trace_id=found.trace_id)
            for field, at_ns in (("start", found.start_ns), ("end", found.end_ns)):
                moment = getattr(added, field)
                moment.seconds, moment.nanos = divmod(at_ns, 10**9)
        return answer

    def FindTraceSummaries(self, request: Any, tenant: str) -> Iterator[bytes]:
        """What is told of them on a page of results."""
        made = message("FindTraceSummariesResponse")
        answer = made()
        for found in self._found(request, tenant):
            summary = summarise(self._traces.spans(tenant, found.trace_id))
            added = answer.summaries.add(
                trace_id=found.trace_id,
                root_service_name=summary.root_service,
                root_operation_name=summary.root_name,
                min_start_time_unix_nano=summary.start_ns,
                max_end_time_unix_nano=summary.end_ns,
                span_count=summary.span_count,
                error_span_count=summary.error_span_count,
                orphan_span_count=summary.orphan_span_count,
            )
            for share in summary.services:
                added.services.add(**share._asdict())
            if len(answer.summaries) >= _SUMMARIES_AT_ONCE:
                yield answer.SerializeToString()
                answer = made()
        if answer.summaries:
            yield answer.SerializeToString()

    def GetDependencies(self, request: Any, tenant: str) -> Any:
        """Who calls whom, by the newest spans of the time that is asked about."""
        first_ns, last_ns = _moment(request.start_time), _moment(request.end_time) or END_NS
        every = ((token(seed_of(tenant), ANY, ""),),)
        query = Query(tenant, every, lambda _, span: True, first_ns=first_ns, last_ns=last_ns)
        answer = message("GetDependenciesResponse")()
        with self._traces.searching() as search:
            counted = calls(_first(search.spans(query), _DEPENDENCY_SPANS, self._budget_s))
        for call, count in sorted(counted.items()):
            answer.dependencies.add(**call._asdict(), call_count=count, source=_SOURCE)
        return answer

    def GetCapabilities(self, request: Any, tenant: str) -> Any:
        """What searches may ask."""
        answer = message("GetCapabilitiesResponse")()
        answer.search.without_service_name = True
        answer.search.same_span_conjunction = True
        return answer

    def _found(self, request: Any, tenant: str) -> list[Found]:
        depth = request.query.search_depth or _DEFAULT_DEPTH
        if depth < 0:
            raise BadInput(f"search_depth: expected a number above 0, not {depth}")
        return self._traces.find(query_of(request.query, tenant), min(depth, _MOST_DEPTH))


def _checked(trace_id: bytes) -> bytes:
    if len(trace_id) != _ID_BYTES:
        raise BadInput(f"trace_id: expected {_ID_BYTES} bytes, not {len(trace_id)}")
    return trace_id


def _moment(timestamp: Any) -> int:
    return int(min(max(timestamp.seconds * 10**9 + timestamp.nanos, 0), END_NS))


def _first(spans: Iterable[Any], limit: int, budget_s: float) -> Iterator[Any]:
    """As many as there is room and time for."""
    ends_s = time.monotonic() + budget_s
    for count, recorded in enumerate(spans):
        if count >= limit or time.monotonic() > ends_s:
            return
        assert isinstance(recorded.event, Span)
        yield recorded
