"""Which status an attempt has, by the ordered status rules of its rule.

A word that the table of results does not know is a failure if the span's status is an error, else
`unknown`; so is an attempt for which no status rule holds. Both are marked as inferred. It is
never a success that nobody said.
"""

from collections.abc import Sequence

from projections.mapping.join.placed import Outcome
from projections.mapping.join.subject import Subject
from projections.mapping.rules.rule import Role, StatusRule
from projections.runs import words
from projections.runs.values import STATUS_ERROR, status_of, text_of


def outcomes_of(subject: Subject) -> tuple[Outcome, Outcome | None]:
    """The outcome of an attempt; and that once a later one is known, where it differs."""
    if subject.rule.role is Role.DETAIL:  # it has ended, and its attempt has not been told
        return Outcome(words.RUNNING, True, None), None
    if not subject.end_ns:
        return Outcome(words.RUNNING, False, None), None
    outcome = _outcome(subject)
    if not _asks_later(subject):
        return outcome, None
    subject.later = True
    later = _outcome(subject)
    subject.later = False
    return outcome, None if later == outcome else later


def _asks_later(subject: Subject) -> bool:
    split = subject.rule.split
    statuses = (*subject.rule.status, *(() if split is None else split.last_status))
    return any(when.source.own == "run.later" for one in statuses for when in one.when)


def _outcome(subject: Subject) -> Outcome:
    split, segment = subject.rule.split, subject.segment
    if split is None or segment is None:
        return _by_rules(subject, subject.rule.status)
    segments = subject.it.segments or ()
    if split.status_from or split.status_map:
        if not segment.closed:
            return _not_said(subject)
        said = text_of(segment.said)
        return _of_word(subject, split.status_map.get(said or "", said), False, None)
    if segment is not segments[-1]:
        return Outcome(words.FAILED, True, True)
    return _by_rules(subject, split.last_status)


def _by_rules(subject: Subject, statuses: Sequence[StatusRule]) -> Outcome:
    for one in statuses:
        if all(when.test(subject.raw(when.source)) for when in one.when):
            word = one.word or text_of(subject.value(one.source)[0])
            if word is None:
                continue
            return _of_word(subject, word, one.inferred, one.will_retry)
    return _not_said(subject)


def _of_word(
    subject: Subject, word: str | None, inferred: bool, will_retry: bool | None
) -> Outcome:
    status = status_of(word)
    if status is None:
        return _not_said(subject, word)
    return Outcome(status, inferred, will_retry)


def _not_said(subject: Subject, word: str | None = None) -> Outcome:
    failed = subject.it.status_code == STATUS_ERROR
    return Outcome(words.FAILED if failed else words.UNKNOWN, True, None, word)
