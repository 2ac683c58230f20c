"""What an error's words say of it, where no rule knows it or only a general one does.

A naive Bayes over the words of an error's types, message, codes and topmost frames, learnt from
the errors of `tests/data/errors/rules`. What is shipped are counts: in how many of those errors of
a kind a word stood. So what decided can be told, and learning is deterministic (`learn`).

It looks at signatures only, at most `WORDS_LIMIT` words of each part.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from projections.errors.classify.rule import Category
from projections.errors.signature import Part, Signature

FILE: Final = "words.json"
WORDS_LIMIT: Final = 40
PARTS_LIMIT: Final = 4
FRAMES_LIMIT: Final = 3
SEEN_LIMIT: Final = 2
"""A word that stood in fewer errors says nothing."""
_SMOOTHING: Final = 3.0
_WEIGHT: Final = 2.0
"""Words are not independent: what they say together is divided by the root of their number."""
_WORD: Final = re.compile(r"<[a-z]+>|[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_BESIDE: Final = ("f:", "T:", "<", "t:<")
"""Where it happened, and that there was a number, say nothing of what it is."""
_COMMON: Final = frozenset(("error", "exception"))

Kind = tuple[Category, bool | None]


class Counts(msgspec.Struct, frozen=True):
    """In how many errors of each kind a word stood: `[kind, count, kind, count, …]`."""

    kinds: tuple[Kind, ...]
    totals: tuple[int, ...]
    words: dict[str, tuple[int, ...]]


class Guess(NamedTuple):
    """The likeliest kind."""

    category: Category
    transient: bool | None
    probability: float  # of the category, by the counts
    words: tuple[str, ...]  # those that spoke most for it, at most three


class Words:
    """Weighs the words of errors by counts."""

    def __init__(self, counts: Counts) -> None:
        self._kinds = counts.kinds
        totals = np.array(counts.totals, dtype=float)
        shares = (totals + 1) / (totals.sum() + len(totals))
        self._prior = np.log(shares)
        self._weights: dict[str, NDArray[np.float64]] = {}
        for word, found in counts.words.items():
            row = np.zeros(len(totals))
            row[list(found[::2])] = found[1::2]
            smooth = (row + _SMOOTHING * shares) / (row.sum() + _SMOOTHING)
            self._weights[word] = np.log(smooth / shares)

    def guess(self, signature: Signature) -> Guess | None:
        """The likeliest kind; None if no word of its type, message or causes was ever met."""
        met = [word for word in sorted(words_of(signature)) if word in self._weights]
        if all(word.startswith(_BESIDE) for word in met):
            return None
        said = np.sum([self._weights[word] for word in met], axis=0)
        scores = self._prior + said * (_WEIGHT / len(met) ** 0.5)
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        by_category: dict[Category, float] = defaultdict(float)
        for kind, share in zip(self._kinds, shares, strict=True):
            by_category[kind[0]] += float(share)
        category = max(by_category, key=lambda one: by_category[one])
        best = max(
            (at for at, kind in enumerate(self._kinds) if kind[0] == category),
            key=lambda at: float(shares[at]),
        )
        return Guess(
            category, self._kinds[best][1], by_category[category], self._telling(met, best)
        )

    def _telling(self, met: Iterable[str], kind: int) -> tuple[str, ...]:
        plain = (word for word in met if ":" not in word)
        ranked = sorted(plain, key=lambda word: -float(self._weights[word][kind]))
        return tuple(word for word in ranked[:3] if self._weights[word][kind] > 0)


def words_of(signature: Signature) -> set[str]:
    """The words that are counted; those of types, codes, frames and causes have a mark."""
    found: set[str] = set()
    for number, part in enumerate(signature.parts[:PARTS_LIMIT]):
        found.update(_of_part(part, "c:" if number else ""))
    thrown = signature.thrown
    short = thrown.type.replace("::", ".").rpartition(".")[2].lower()
    found.add(f"T:{short or '-'}")
    message = _words(thrown.template)[:WORDS_LIMIT]
    found.update(f"{one} {other}" for one, other in pairwise(message))
    for frame in thrown.frames[:FRAMES_LIMIT]:
        found.update(f"f:{word}" for word in _words(frame)[:WORDS_LIMIT])
    return found


def _of_part(part: Part, mark: str) -> Iterable[str]:
    short = part.type.replace("::", ".").rpartition(".")[2]
    yield from (f"{mark}t:{word}" for word in _words(short) if word not in _COMMON)
    yield from (mark + word for word in _words(part.template)[:WORDS_LIMIT])
    for code in part.codes:
        yield f"{mark}k:{code}"
        yield f"{mark}k:{code.partition(':')[0]}"


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text[:2_000])]


def learn(errors: Iterable[tuple[Signature, Kind, str]]) -> Counts:
    """The counts of known errors; occurrences with one name are one error.

    Args:
        errors: each with what it is and a name.
    """
    kinds: dict[Kind, set[str]] = defaultdict(set)
    seen: dict[str, set[tuple[Kind, str]]] = defaultdict(set)
    for signature, kind, name in errors:
        kinds[kind].add(name)
        for word in words_of(signature):
            seen[word].add((kind, name))
    order = sorted(kinds, key=str)
    place = {kind: at for at, kind in enumerate(order)}
    words = {
        word: _row(Counter(place[kind] for kind, _ in found))
        for word, found in sorted(seen.items())
        if len(found) >= SEEN_LIMIT
    }
    return Counts(tuple(order), tuple(len(kinds[kind]) for kind in order), words)


def _row(counted: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(number for pair in sorted(counted.items()) for number in pair)


@cache
def shipped_words() -> Words:
    """Those that are shipped; read when first asked for."""
    file = resources.files("projections.errors.classify").joinpath(FILE)
    return Words(msgspec.json.decode(file.read_bytes(), type=Counts))
