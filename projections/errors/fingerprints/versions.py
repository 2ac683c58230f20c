"""The versions of fingerprints that there are, and what another one would change."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from events.bounded import BoundedDict
from events.errors import BadInput
from projections.errors.fingerprints import v1, v2
from projections.errors.fingerprints.fingerprint import Fingerprint
from projections.errors.signature import SIGNATURE_BYTES, Signature

Version = Callable[[Signature], Fingerprint]


def _kept(make: Version) -> Version:
    """The same function, which remembers the signatures that it met lately."""
    kept: BoundedDict[Signature, Fingerprint] = BoundedDict(16 << 20)

    def fingerprint(signature: Signature) -> Fingerprint:
        found = kept.get(signature)
        if found is None:
            found = make(signature)
            kept.keep(signature, found, SIGNATURE_BYTES)
        return found

    return fingerprint


VERSIONS: Final[dict[int, Version]] = {1: _kept(v1.fingerprint), 2: _kept(v2.fingerprint)}
CURRENT: Final = 2


def version(number: int) -> Version:
    """The function of a version.

    Raises:
        BadInput: there is no such version; the message names those that there are.
    """
    try:
        return VERSIONS[number]
    except KeyError:
        known = ", ".join(map(str, VERSIONS))
        raise BadInput(f"no fingerprint version {number}; there are {known}") from None


class Move(msgspec.Struct, frozen=True):
    """Errors that one version takes for one pattern and the other for several."""

    one: str  # the fingerprint of all of them
    several: tuple[str, ...]  # ascending


class Comparison(msgspec.Struct, frozen=True):
    """What would change from one version to another."""

    before: int  # patterns
    after: int
    merged: tuple[Move, ...]  # several patterns that become one
    split: tuple[Move, ...]  # one pattern that becomes several


def compare(signatures: Iterable[Signature], old: Version, new: Version) -> Comparison:
    """How patterns would move from `old` to `new`, by the signatures that there are."""
    became: dict[str, set[str]] = defaultdict(set)
    came: dict[str, set[str]] = defaultdict(set)
    for signature in signatures:
        before, after = old(signature).digest, new(signature).digest
        became[before].add(after)
        came[after].add(before)
    return Comparison(len(became), len(came), _moves(came), _moves(became))


def _moves(found: dict[str, set[str]]) -> tuple[Move, ...]:
    several = ((one, found[one]) for one in sorted(found) if len(found[one]) > 1)
    return tuple(Move(one, tuple(sorted(others))) for one, others in several)
