"""Series of figures, by reading the spans that fit, the last stored first; plain functions.

Bounded by the time of a search, by `MOST_SPANS` and `MOST_SERIES`. Where not all can be read, steps
that may lack spans are left out, and the answer says so: no figure is told of a part of its step.
"""

import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

from events.errors import BadInput
from events.log.port import Recorded
from events.schema import Span
from projections.views.spans.search import TAIL_EVENTS, Search
from projections.views.spans.tokens import text_of
from service.tempo.fields import otlp, values_of
from service.tempo.measure import COUNTING, HISTOGRAM, QUANTILES, Field, Measure
from service.tempo.steps import SECOND_NS, Steps
from service.tempo.traceql import query_of

MOST_SPANS: Final = 2_000_000
MOST_SERIES: Final = 1_000
MOST_SAMPLES: Final = 200_000
DEFAULT_EXEMPLARS: Final = 100
MOST_EXEMPLARS: Final = 1_000
_BUCKET: Final = "__bucket"
_LARGEST: Final = 1023
_ROUNDED: Final = 1e-6
"""More than a share times a number of spans is off by: 0.07 x 100 is not quite 7."""
_NAME: Final = "__name__"
_SHARE: Final = "p"
_CUT: Final = "not all spans could be read in the time or number allowed"
_BEHIND: Final = "the index of spans is behind: the newest spans are not counted yet"
_FOLDED: Final = f"only {MOST_SERIES} series are told; ask for fewer by another `by`"

Key = tuple[tuple[str, Any], ...]
"""The values that make a series one, with their types: None where a span lacks a field."""
Values = Sequence[float]
Figure = Callable[[Values], float]


class Example(NamedTuple):
    """A span that a figure counts."""

    trace_id: bytes
    span_id: bytes
    start_ns: int
    value: float


class Series:
    """The values of each step, by its number, and a few spans among them."""

    def __init__(self) -> None:
        self.values: dict[int, array[float]] = {}
        self.examples: dict[int, Example] = {}

    def add(self, step: int, value: float) -> None:
        """One more span."""
        held = self.values.get(step)
        if held is None:
            held = self.values[step] = array("d")
        held.append(value)


class Gathered(NamedTuple):
    """What was read: series, how many spans, the first step that is whole, and what it lacks."""

    series: Mapping[Key, Series]
    span_count: int
    first_step: int
    lacks: list[str]


def gather(
    search: Search, tenant: str, measure: Measure, steps: Steps, exemplars: int = 0
) -> Gathered:
    """Read the spans that fit; see the module.

    Args:
        exemplars: how many examples are kept.
    """
    query = query_of(measure.spans, tenant, steps.after_ns + 1, steps.last_ns)
    series: dict[Key, Series] = {}
    count, kept, enough_at, is_folded = 0, 0, 0, False
    for recorded in search.spans(query):
        if count == MOST_SPANS:
            enough_at = recorded.position
            break
        count += 1
        span = recorded.event
        assert isinstance(span, Span)
        value = _value(measure, recorded, span)
        if value is None:
            continue
        key = _key(measure, recorded, span, value)
        held = series.get(key)
        if held is None:
            if is_folded := is_folded or len(series) >= MOST_SERIES:
                continue
            held = series[key] = Series()
        step = steps.of(span.start_ns)
        held.add(step, value)
        place = step * exemplars // steps.step_count
        if kept < exemplars and place not in held.examples:
            held.examples[place] = Example(span.trace_id, span.span_id, span.start_ns, value)
            kept += 1
    lacks = [_FOLDED] if is_folded else []
    if search.head() - search.indexed() > TAIL_EVENTS:
        lacks.append(_BEHIND)
    first = 0
    if search.is_cut or enough_at:
        unread_ns = search.unread_ns(query, enough_at)
        if unread_ns >= 0:
            first = steps.of(unread_ns) + 1
            lacks.append(_CUT)
    return Gathered(series, count, first, lacks)


def range_answer(measure: Measure, steps: Steps, gathered: Gathered) -> dict[str, Any]:
    """As `tempopb.QueryRangeResponse` in JSON.

    Raises:
        BadInput: no step is whole, or the answer would be too large.
    """
    lacks = [*gathered.lacks]
    if gathered.first_step >= steps.step_count:
        raise BadInput(f"{_CUT}; ask for less time, longer steps or fewer spans")
    if gathered.first_step:
        told = steps.end_ms(gathered.first_step) // 1000
        lacks.append(f"figures begin at {told}")
    numbers = range(gathered.first_step, steps.step_count)
    each = max(len(measure.quantiles), 1)
    if len(gathered.series) * each * len(numbers) > MOST_SAMPLES:
        raise BadInput(
            f"{len(gathered.series) * each} series of {len(numbers)} steps are more than "
            f"{MOST_SAMPLES:,} figures; ask for longer steps, or fewer series by another `by`"
        )
    found = [
        told
        for key, held in _ordered(measure, gathered.series)
        for told in _series(measure, steps, numbers, key, held)
    ]
    return {"series": found, **_told(gathered, lacks)}


def instant_answer(measure: Measure, steps: Steps, gathered: Gathered) -> dict[str, Any]:
    """As `tempopb.QueryInstantResponse` in JSON: the figure of the whole time.

    Raises:
        BadInput: not all of the time could be read, and a part of it would be another figure.
    """
    if gathered.first_step:
        raise BadInput(f"{_CUT}; ask for less time or fewer spans")
    found = [
        {"labels": labels, "value": value}
        for key, held in _ordered(measure, gathered.series)
        for labels, figure in _figures(measure, key, steps.step_ns / SECOND_NS)
        if math.isfinite(value := figure(held.values.get(0, array("d"))))
    ]
    return {"series": found, **_told(gathered, gathered.lacks)}


def _told(gathered: Gathered, lacks: list[str]) -> dict[str, Any]:
    told: dict[str, Any] = {"metrics": {"inspectedSpans": str(gathered.span_count)}}
    if lacks:
        told |= {"status": "PARTIAL", "message": "; ".join(lacks)}
    return told


def _ordered(measure: Measure, series: Mapping[Key, Series]) -> list[tuple[Key, Series]]:
    """By their labels; spans that are counted, of which there are none, are one series of 0."""
    if not series and measure.function in COUNTING and not measure.by:
        return [((), Series())]
    return sorted(series.items(), key=lambda one: one[0])


def _series(
    measure: Measure, steps: Steps, numbers: range, key: Key, held: Series
) -> Iterator[dict[str, Any]]:
    for labels, figure in _figures(measure, key, steps.step_ns / SECOND_NS):
        none = figure(())
        told = {
            number: figure(held.values[number]) if number in held.values else none
            for number in numbers
        }
        samples = [
            {"timestampMs": str(steps.end_ms(number)), "value": value}
            for number, value in told.items()
            if math.isfinite(value)
        ]
        examples = sorted(held.examples.values(), key=lambda one: one.start_ns)
        if samples:
            yield {
                "labels": labels,
                "samples": samples,
                "exemplars": [
                    _example(measure, one, told[step])
                    for one in examples
                    if (step := steps.of(one.start_ns)) in told
                ],
            }


def _example(measure: Measure, example: Example, figure: float) -> dict[str, Any]:
    """A span on the line of its series where spans are counted, else at its own value."""
    is_count = measure.function in (*COUNTING, HISTOGRAM)
    return {
        "labels": [
            _label("trace:id", example.trace_id.hex()), _label("span:id", example.span_id.hex()),
        ],
        "value": figure if is_count else example.value,
        "timestampMs": str(example.start_ns // 10**6),
    }  # fmt: skip


def _figures(
    measure: Measure, key: Key, step_s: float
) -> list[tuple[list[dict[str, Any]], Figure]]:
    """The labels and the function of each series that a key's values are told as."""
    fields = [*(field.label for field in measure.by), *([_BUCKET] if _bucketed(measure) else [])]
    pairs = zip(fields, key, strict=True)
    labels = [_label(name, value) for name, (_, value) in pairs if value is not None]
    if fields and not labels:
        labels = [_label(fields[0], "nil")]
    if measure.function == QUANTILES:
        return [
            ([*labels, _label(_SHARE, share)], partial(quantile, share=share))
            for share in measure.quantiles
        ]
    if measure.function == "rate":
        return [(labels or [_label(_NAME, "rate")], lambda held: len(held) / step_s)]
    named = labels or [_label(_NAME, measure.function)]
    return [(named, _FIGURES[measure.function])]


def _bucketed(measure: Measure) -> bool:
    return measure.function == HISTOGRAM


def _label(name: str, value: Any) -> dict[str, Any]:
    return {"key": name, "value": otlp(value)}


def quantile(held: Values, share: float) -> float:
    """The least value that at least this share of all does not exceed; NaN of none."""
    if not held:
        return math.nan
    rank = math.ceil(share * len(held) - _ROUNDED)
    return sorted(held)[max(rank - 1, 0)]


_FIGURES: Final[dict[str, Figure]] = {
    "count_over_time": lambda held: float(len(held)),
    HISTOGRAM: lambda held: float(len(held)),
    "min_over_time": lambda held: min(held, default=math.nan),
    "max_over_time": lambda held: max(held, default=math.nan),
    "sum_over_time": lambda held: sum(held) if held else math.nan,
    "avg_over_time": lambda held: sum(held) / len(held) if held else math.nan,
}


def _value(measure: Measure, recorded: Recorded, span: Span) -> float | None:
    """The number of a span; None if it has none, and is not counted then."""
    if measure.of is None:
        return 1.0
    value = _first(measure.of, recorded, span)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return value / SECOND_NS if measure.of.is_duration else float(value)


def _key(measure: Measure, recorded: Recorded, span: Span, value: float) -> Key:
    values = [_plain(_first(field, recorded, span)) for field in measure.by]
    values += [_bucket(measure, value)] if _bucketed(measure) else []
    return tuple((type(value).__name__, value) for value in values)


def _first(field: Field, recorded: Recorded, span: Span) -> Any:
    return next(iter(values_of(field.scope, field.key, recorded.context, span)), None)


def _plain(value: Any) -> Any:
    """A value that can be a label: lists, maps, and what is no number, as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if isinstance(value, str | bool | int | float | None) else text_of(value)


def _bucket(measure: Measure, value: float) -> float:
    """The power of two that a value does not exceed; of durations one of nanoseconds."""
    assert measure.of is not None
    unit = SECOND_NS if measure.of.is_duration else 1
    number = round(value * unit) if unit > 1 else value
    if number <= 0:
        return 0.0
    return float(2.0 ** min(math.ceil(math.log2(number)), _LARGEST) / unit)
