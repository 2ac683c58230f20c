"""Real errors with what they are, and how well they are told: for the tests and the benchmark.

`tests/data/errors/rules` holds the errors that the rules were written from, `held` those of other
libraries and tools, which nobody looked at while writing rules. A line is one occurrence: `group`
names the error, of which there are two, provoked with other values by a program at another place.
Those of `recalled` were not provoked: they are what libraries are known to say, a kind each.
"""

from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import msgspec

from projections.errors.assessment import Assessment, assess, record_of
from projections.errors.classify.classifier import Classifier
from projections.errors.record import Record

FOLDER: Final = Path(__file__).parent / "data" / "errors"


class Case(msgspec.Struct, frozen=True):
    """One occurrence of a known error."""

    language: str
    group: str
    category: str
    transient: bool | None
    record: dict[str, Any]


class Measured(msgspec.Struct, frozen=True):
    """Shares of 1, but for the count."""

    count: int
    category: float
    transient: float
    permanent_as_transient: float
    suggestions: float  # that name a step for what is not unknown
    precision: float  # of pairs in one pattern, those of one error
    recall: float  # of pairs of one error, those in one pattern
    calibration_error: float  # expected, over ten bins of confidence
    discrimination: float  # area under the curve of right against wrong


def cases(part: str) -> list[Case]:
    """The errors of `rules` or `held`."""
    decoder = msgspec.json.Decoder(Case)
    files = sorted((FOLDER / part).glob("*.jsonl"))
    return [decoder.decode(line) for file in files for line in file.read_bytes().splitlines()]


def records(part: str) -> Iterator[Record]:
    """Their records."""
    return (record_of(case.record) for case in cases(part))


def measure(found: Iterable[Case], classifier: Classifier) -> Measured:
    """How well a classifier and the current fingerprints tell these errors."""
    told = [(case, assess(record_of(case.record), classifier)) for case in found]
    count = len(told)
    right = [case.category == answer.category for case, answer in told]
    wrongly_hopeful = sum(
        answer.transient is True and case.transient is False for case, answer in told
    )
    precision, recall = _grouping(told)
    confidences = [answer.confidence for _, answer in told]
    return Measured(
        count,
        sum(right) / count,
        sum(case.transient == answer.transient for case, answer in told) / count,
        wrongly_hopeful / count,
        sum(answer.suggestion.endswith((".", ").")) for _, answer in told) / count,
        precision,
        recall,
        _calibration_error(confidences, right),
        _discrimination(confidences, right),
    )


def _grouping(told: list[tuple[Case, Assessment]]) -> tuple[float, float]:
    together = same = both = 0
    named = [(case, answer) for case, answer in told if case.group]
    for (one, answer), (other, its) in combinations(named, 2):
        grouped = answer.fingerprint == its.fingerprint
        known = one.group == other.group
        together += grouped
        same += known
        both += grouped and known
    return both / together, both / same


def _calibration_error(confidences: list[float], right: list[bool]) -> float:
    bins: dict[int, list[tuple[float, bool]]] = {}
    for confidence, is_right in zip(confidences, right, strict=True):
        bins.setdefault(min(9, int(confidence * 10)), []).append((confidence, is_right))
    gaps = (abs(sum(c for c, _ in held) - sum(r for _, r in held)) for held in bins.values())
    return sum(gaps) / len(right)


def _discrimination(confidences: list[float], right: list[bool]) -> float:
    good = [c for c, is_right in zip(confidences, right, strict=True) if is_right]
    bad = [c for c, is_right in zip(confidences, right, strict=True) if not is_right]
    if not good or not bad:
        return 1.0
    wins = sum((g > b) + (g == b) / 2 for g in good for b in bad)
    return wins / (len(good) * len(bad))
