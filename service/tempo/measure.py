"""What is to be counted or measured of spans: `{ … } | rate() by (resource.service.name)`.

Functions are `rate` and `count_over_time`, and of a number `min_over_time`, `max_over_time`,
`avg_over_time`, `sum_over_time`, `quantile_over_time` (`duration, .5, .9`) and
`histogram_over_time`. `by (…)` names at most five fields; `with (exemplars=true)` asks for traces
as examples. Hints by which a Tempo reads less (`sample`, `most_recent`) are let pass: all is read.
"""

import math
import re
from typing import Final, NamedTuple

from service.tempo.fields import ROOT
from service.tempo.traceql import MOST_CHARACTERS, Expression, NotUnderstood, field_of, parse

COUNTING: Final = ("rate", "count_over_time")
QUANTILES: Final = "quantile_over_time"
HISTOGRAM: Final = "histogram_over_time"
MEASURING: Final = (
    "min_over_time", "max_over_time", "avg_over_time", "sum_over_time", QUANTILES, HISTOGRAM,
)  # fmt: skip
FUNCTIONS: Final = (*COUNTING, *MEASURING)
_MOST_FIELDS: Final = 5
_MOST_QUANTILES: Final = 10
_HINTS: Final = ("exemplars", "sample", "span_sample", "trace_sample", "most_recent")
_MEASURES: Final = re.compile(
    r"(?P<set>\{.*\})\s*\|\s*(?P<function>\w+)\s*\((?P<given>[^()]*)\)"
    r"(?:\s*by\s*\((?P<by>[^()]*)\))?(?:\s*with\s*\((?P<hints>[^()]*)\))?",
    re.DOTALL,
)
_FIELD: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+')


class Field(NamedTuple):
    """A field of spans, and the label under which its value is told: as it was asked for."""

    label: str
    scope: str
    key: str

    @property
    def is_duration(self) -> bool:
        """Whether it is the span's duration, which is told in seconds."""
        return (self.scope, self.key) == ("intrinsic", "duration")


class Measure(NamedTuple):
    """A function over spans.

    Args:
        of: the number that is measured; None where spans are counted.
        quantiles: between 0 and 1, of `quantile_over_time` alone.
        by: what makes a series of its own.
        exemplars: whether examples are asked for; None: nothing is said of it.
    """

    spans: Expression
    function: str
    of: Field | None = None
    quantiles: tuple[float, ...] = ()
    by: tuple[Field, ...] = ()
    exemplars: bool | None = None


def parse_measure(text: str) -> Measure:
    """A set of spans and one function over it.

    Raises:
        NotUnderstood: it is not of this part of TraceQL; the message says what was met.
    """
    if len(text) > MOST_CHARACTERS:
        raise NotUnderstood(f"q: longer than {MOST_CHARACTERS} characters")
    found = _MEASURES.fullmatch(text.strip())
    if found is None or found["function"] not in FUNCTIONS:
        raise NotUnderstood(
            f"q: expected {{ … }} | FUNCTION(…) by (…), with one function of {', '.join(FUNCTIONS)}"
            f"; not {text.strip()[:80]!r}: arithmetic, comparisons of the result, topk, bottomk "
            "and compare are not understood here"
        )
    spans = parse(found["set"])
    if any(condition.scope == ROOT for condition in spans.conditions()):
        raise NotUnderstood(_NO_ROOT)
    function, given = found["function"], _parts(found["given"])
    of, quantiles = _measured(function, given)
    by = tuple(_field(part) for part in _parts(found["by"] or ""))
    if len(by) > _MOST_FIELDS:
        raise NotUnderstood(f"q: by ({found['by'][:80]}): more than {_MOST_FIELDS} fields")
    return Measure(spans, function, of, quantiles, by, _exemplars(found["hints"] or ""))


_NO_ROOT: Final = (
    "q: rootServiceName and rootName are not known of each span here; ask for the roots themselves,"
    " with nestedSetParent < 0, by resource.service.name and name"
)


def _parts(text: str) -> list[str]:
    return [part.strip() for part in _FIELD.findall(text) if part.strip()]


def _field(text: str) -> Field:
    scope, key = field_of(text)
    if scope == ROOT:
        raise NotUnderstood(_NO_ROOT)
    return Field(text.removeprefix("span:"), scope, key)


def _measured(function: str, given: list[str]) -> tuple[Field | None, tuple[float, ...]]:
    """The number and the quantiles that a function is given."""
    if function in COUNTING:
        if given:
            raise NotUnderstood(f"q: {function}() takes nothing, not {given[0][:80]!r}")
        return None, ()
    if not given:
        raise NotUnderstood(f"q: {function}() is to say of what: {function}(duration)")
    field, rest = _field(given[0]), given[1:]
    if field.scope == "intrinsic" and not field.is_duration:
        raise NotUnderstood(f"q: {function}({field.label}): {field.label} is no number")
    if function != QUANTILES:
        if rest:
            raise NotUnderstood(f"q: {function}() takes one field, not {rest[0][:80]!r} too")
        return field, ()
    if not 1 <= len(rest) <= _MOST_QUANTILES:
        raise NotUnderstood(f"q: {function}() takes a field and 1 to {_MOST_QUANTILES} quantiles")
    return field, tuple(_quantile(part) for part in rest)


def _quantile(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found <= 1:
        raise NotUnderstood(f"q: expected a quantile between 0 and 1, not {text[:80]!r}")
    return found


def _exemplars(hints: str) -> bool | None:
    found = None
    for hint in _parts(hints):
        name, _, value = (part.strip() for part in hint.partition("="))
        if name not in _HINTS or not value:
            raise NotUnderstood(f"q: with ({hint[:80]}): there are {', '.join(_HINTS)}")
        if name == "exemplars":
            found = value == "true"
    return found
