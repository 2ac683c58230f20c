"""How well errors are told, on those that the rules were written from and on others; how fast.

Processor time of signature, fingerprint and category together, of errors whose stacks were met
before: once with messages that were met, too, and once with other numbers in each.
"""

import re
import time
from statistics import median
from typing import Final

from benchmarks.figures import Figure
from projections.errors.classify.classifier import Classifier, make_classifier
from projections.errors.fingerprints.versions import CURRENT, version
from projections.errors.record import Record
from projections.errors.signature import signature_of
from tests.errors_corpus import cases, measure, records

_FLOOR_US: Final = 15.0
_CATEGORY: Final = 0.95
_TRANSIENT: Final = 0.97
_PERMANENT: Final = 0.02
_PRECISION: Final = 0.96
_RECALL: Final = 0.95


def run() -> list[Figure]:
    """Shares of each part of the corpus, then microseconds an error."""
    classifier = make_classifier()
    found = []
    for part in ("rules", "held"):
        measured = measure(cases(part), classifier)
        details = {
            "errors": measured.count, "calibration_error": measured.calibration_error,
            "discrimination": measured.discrimination, "suggestions": measured.suggestions,
        }  # fmt: skip
        found += [
            _share(part, "right category", measured.category, _CATEGORY, details),
            _share(part, "right transient", measured.transient, _TRANSIENT, {}),
            _share(part, "permanent called transient", measured.permanent_as_transient, _PERMANENT,
                   {}, at_most=True),
            _share(part, "grouping, precision", measured.precision, _PRECISION, {}),
            _share(part, "grouping, recall", measured.recall, _RECALL, {}),
        ]  # fmt: skip
    return [*found, *_speed(classifier)]


def _share(
    part: str, name: str, value: float, floor: float, details: dict[str, float],
    at_most: bool = False,
) -> Figure:  # fmt: skip
    return Figure(
        name=f"errors, {part}: {name}", value=value * 100, unit="%", roles="none", cores="1",
        load=f"tests/data/errors/{part}", floor=floor * 100,
        bound="at most" if at_most else "at least", details=details,
    )  # fmt: skip


def _speed(classifier: Classifier) -> list[Figure]:
    met = [record for part in ("rules", "held") for record in records(part)]
    _times(met, classifier)
    again = _times(met, classifier)
    other = _times([_renumbered(record) for record in met], classifier)
    return [
        Figure(
            name=f"errors: fingerprint and category, {name}", value=median(times), unit="µs",
            roles="none", cores="1", load="all errors", floor=_FLOOR_US, bound="at most",
            details={"p90_us": sorted(times)[len(times) * 9 // 10]},
        )
        for name, times in (("met before", again), ("other numbers", other))
    ]  # fmt: skip


def _times(met: list[Record], classifier: Classifier) -> list[float]:
    """Microseconds for each."""
    fingerprint = version(CURRENT)
    taken = []
    for record in met:
        began = time.thread_time_ns()
        signature = signature_of(record)
        fingerprint(signature)
        classifier.classify(signature)
        taken.append((time.thread_time_ns() - began) / 1000)
    return taken


def _renumbered(record: Record) -> Record:
    """The same error, of another order, at another time, from another port."""
    message = re.sub(r"\d+", lambda found: str(int(found[0][:9]) + 7), record.message)
    return Record(record.type, message, record.stacktrace, record.attributes)
