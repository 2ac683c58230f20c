"""Under which keys observations are found that belong together by key, not by trace."""

import hashlib
from collections.abc import Container
from typing import Final

from projections.mapping.join.subject import Subject, together
from projections.mapping.rules.rule import Role
from projections.runs.values import number_of, text_of

KEY_BYTES: Final = 16
_ATTEMPT, _DETAIL, _FIRST, _SERIES, _SAME = b"a", b"d", b"f", b"s", b"i"


def key_text(subject: Subject) -> tuple[str, bool]:
    """The run key of an attempt as text, and whether it is whole; empty if nothing is known."""
    parts = [text_of(subject.value(part)[0]) for part in subject.rule.key]
    known = [part for part in parts if part is not None]
    if not known:
        return "", False
    return together([part or "" for part in parts], "/"), len(known) == len(parts)


def number_said(subject: Subject) -> int | None:
    """The number that the rule gives an attempt; None where it goes by the order."""
    attempt = subject.rule.attempt
    return None if attempt is None else number_of(subject.value(attempt)[0])


def filing_of(subject: Subject, detailed: Container[str]) -> list[bytes]:
    """Every key under which this observation has to be found; `detailed`: see `RuleSet`."""
    rule = subject.rule
    if rule.role is Role.DETAIL:
        return [detail_key(subject)]
    keys = [attempt_key(subject)] if rule.id in detailed else []
    if rule.identity:
        keys.append(same_key(subject))
    if rule.new_run_on_attempt_1:
        keys.append(series_key(subject))
        if rule.role is Role.ATTEMPT and number_said(subject) == 1:
            keys.append(first_key(subject))
    return keys


def same_key(subject: Subject) -> bytes:
    """Where everything is that is this same attempt, sent again."""
    values = [text_of(subject.value(value)[0]) for value in subject.rule.identity]
    return _digest(_SAME, subject, values)


def attempt_key(subject: Subject) -> bytes:
    """Where attempts of this key and number are."""
    return _digest(_ATTEMPT, subject, number_said(subject))


def detail_key(subject: Subject) -> bytes:
    """Where what tells more of attempts with this key and number is."""
    return _digest(_DETAIL, subject, number_said(subject))


def first_key(subject: Subject) -> bytes:
    """Where the first attempts of all runs with this key are."""
    return _digest(_FIRST, subject, 1)


def series_key(subject: Subject) -> bytes:
    """Where all attempts of all runs with this key are."""
    return _digest(_SERIES, subject, None)


def _digest(kind: bytes, subject: Subject, number: object) -> bytes:
    text = f"{subject.rule.system}\x00{key_text(subject)[0]}\x00{number}"
    return hashlib.blake2b(text.encode(), digest_size=KEY_BYTES, person=kind).digest()
