"""Learns what words say of errors, from those that the rules were written from.

python -m tests.errors_training      # write the counts that are shipped
"""

from pathlib import Path
from typing import Final, cast

import msgspec

from projections.errors.assessment import record_of
from projections.errors.classify.rule import Category
from projections.errors.classify.words import FILE, Counts, learn
from projections.errors.signature import signature_of
from tests.errors_corpus import cases

PATH: Final = Path(__file__).parents[1] / "projections/errors/classify" / FILE


def learnt() -> Counts:
    """The counts of the errors in `rules`."""
    return learn(
        (
            signature_of(record_of(case.record)),
            (cast("Category", case.category), case.transient),
            case.group or case.record.get("message", ""),
        )
        for case in cases("rules")
    )


def lines(counts: Counts) -> bytes:
    """As JSON, a word a line, so that changes can be read."""
    head = msgspec.json.encode(counts.kinds), msgspec.json.encode(counts.totals)
    words = b",\n".join(
        msgspec.json.encode(word) + b":" + msgspec.json.encode(row)
        for word, row in counts.words.items()
    )
    return b'{"kinds":%b,\n"totals":%b,\n"words":{\n%b}}\n' % (*head, words)


if __name__ == "__main__":
    PATH.write_bytes(lines(learnt()))
