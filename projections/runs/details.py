"""Which spans of a run stand for an attempt, and which only tell more of one."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from projections.runs.facts import LogFact, SpanFact

SpanKey = tuple[bytes, bytes]
Numbers = Mapping[SpanKey, set[int | None]]


def key_of(fact: SpanFact | LogFact) -> SpanKey:
    """The span that a fact is about."""
    return fact.trace_id, fact.span_id


def parent_of(span: SpanFact) -> SpanKey | None:
    """The span that a span says it is below; None for one that says none, or itself."""
    if not span.parent_span_id or span.parent_span_id == span.span_id:
        return None
    return span.trace_id, span.parent_span_id


def is_mapped(span: SpanFact) -> bool:
    """Did a mapping rule take it? Then it stands for an attempt, whatever it is below."""
    return span.more is not None and span.more.mapped is not None


def hangs(span: SpanFact) -> bool:
    """Does what it is depend on the other attempts that are known?"""
    mapped = None if span.more is None else span.more.mapped
    return mapped is not None and (mapped.later is not None or mapped.only_ends)


def only_ends(span: SpanFact) -> bool:
    """Does it tell only of the end of an attempt, if one runs?"""
    mapped = None if span.more is None else span.more.mapped
    return mapped is not None and mapped.only_ends


def without_copies(spans: Iterable[SpanFact]) -> list[SpanFact]:
    """One fact of each span: the same one by two routes counts once, and one sent while it ran is
    replaced by the same one sent at its end.

    Spans with one id but other times are tries of their own: some orchestrators use one span id
    for every try.
    """
    best: dict[tuple[bytes, bytes, int, int], SpanFact] = {}
    for span in spans:
        key = (span.trace_id, span.span_id, span.start_ns, span.end_ns)
        held = best.get(key)
        if held is None or _preference(span) < _preference(held):
            best[key] = span
    ended = {key[:3] for key in best if key[3]}
    return [span for key, span in best.items() if key[3] or key[:3] not in ended]


def _preference(span: SpanFact) -> tuple[bool, int, bytes]:
    """Of two facts of one span the one that says a number, then the one that knows the error."""
    return span.number is None, -span.error, span.event_id


def without_details(
    spans: list[SpanFact], queueing: set[SpanKey], beating: Numbers
) -> tuple[list[SpanFact], set[SpanKey]]:
    """Leave out the spans below an attempt that say its number, or none; and their keys.

    `queueing` are spans that put the run into a queue: what is below them begins anew. `beating`
    are spans known from log records, with the numbers that these say: they may run still.
    """
    of_key: dict[SpanKey, list[SpanFact]] = defaultdict(list)
    for span in sorted(spans, key=_start):
        of_key[key_of(span)].append(span)
    kept: list[SpanFact] = []
    for key, above, is_root in _walk(of_key, beating):
        for span in of_key.get(key, ()):
            own = span.number is not None and span.number not in above
            if is_root or own or is_mapped(span):
                kept.append(span)
    kept = _outermost(kept, of_key.keys() | beating.keys() | queueing)
    return kept, of_key.keys() - {key_of(span) for span in kept}


def _start(span: SpanFact) -> tuple[int, bytes]:
    return span.start_ns, span.event_id


def _walk(
    of_key: Mapping[SpanKey, list[SpanFact]], beating: Numbers
) -> Iterator[tuple[SpanKey, Mapping[int | None, int], bool]]:
    """Every span from the outermost inwards, with how often each number is said above it.

    Parents in a circle are entered at the first one.
    """
    children: dict[SpanKey, list[SpanKey]] = defaultdict(list)
    roots = [key for key in beating if key not in of_key]
    inner: list[SpanKey] = []
    for key, held in of_key.items():
        parent = parent_of(held[0])
        if parent is not None and (parent in of_key or parent in beating):
            children[parent].append(key)
            inner.append(key)
        else:
            roots.append(key)
    seen: set[SpanKey] = set()
    above: dict[int | None, int] = {}
    for root in (*roots, *inner):
        path = [(root, False)]
        while path:
            key, leaving = path.pop()
            numbers = {span.number for span in of_key.get(key, ())} | beating.get(key, set())
            if leaving:
                for number in numbers:
                    above[number] -= 1
                    if not above[number]:
                        del above[number]
                continue
            if key in seen:
                continue
            seen.add(key)
            yield key, above, key == root
            for number in numbers:
                above[number] = above.get(number, 0) + 1
            path.append((key, True))
            path += [(child, False) for child in children[key]]


def _outermost(spans: list[SpanFact], known: set[SpanKey]) -> list[SpanFact]:
    """Without those that lie within another one's time in its trace and say the same number.

    Between them may be spans that say nothing of a task, which are not among the facts: so only
    spans are left out whose parent is not known and not that of the other one as well.
    """
    groups: dict[tuple[bytes, int], list[SpanFact]] = defaultdict(list)
    for span in spans:
        if span.number is not None and span.end_ns and not is_mapped(span):
            groups[span.trace_id, span.number].append(span)
    inside: set[bytes] = set()
    for group in groups.values():
        if len(group) == 1:
            continue
        group.sort(key=lambda s: (s.start_ns, -s.end_ns, bool(s.parent_span_id), s.event_id))
        outer = group[0]
        for span in group[1:]:
            parent = parent_of(span)
            if span.end_ns > outer.end_ns:
                outer = span
            elif (
                parent is not None
                and parent not in known
                and span.parent_span_id != outer.parent_span_id
                and span.span_id != outer.span_id
            ):
                inside.add(span.event_id)
    return [span for span in spans if span.event_id not in inside] if inside else spans
