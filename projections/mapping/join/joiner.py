"""Observations to facts of runs, whatever the order in which they come.

What an observation means is a function of it and of those around it: parents, descendants,
records, and those with its key. So when some arrive, only those already kept that look at one of
them are read again, before and after: what differs is taken from its old run and placed in the
new one. The cost of an arrival is that of its relatives, never of its trace.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from projections.mapping.join.filing import (
    attempt_key,
    detail_key,
    filing_of,
    first_key,
    key_text,
    number_said,
    same_key,
    series_key,
)
from projections.mapping.join.filling import Filling, fact_of, widened
from projections.mapping.join.placed import Arrival, Placed, RunKey
from projections.mapping.join.port import TIME_MAX, Observations
from projections.mapping.join.reach import ancestors
from projections.mapping.join.subject import Subject
from projections.mapping.observe.observation import Observation
from projections.mapping.rules.rule import Role, Rule
from projections.mapping.rules.ruleset import RuleSet

DETAILS_LIMIT: Final = 100
"""Observations with one key and number that are looked at for an attempt."""
CHILDREN_LIMIT: Final = 10_000
"""Spans below one that are read again when it comes late."""
_Facts = dict[tuple[RunKey, bytes], Placed]


class Joiner:
    """Joins the observations of one rule set, kept in `store`."""

    def __init__(self, rules: RuleSet, store: Observations) -> None:
        self._rules = rules
        self._store = store

    def arrive(self, observations: Iterable[Observation]) -> Arrival:
        """Take in observations, known ones too; what that changes of the runs."""
        alone: list[Placed] = []
        kept: list[Observation] = []
        for it in observations:
            if it.kept:
                kept.append(it)
            elif it.role in (Role.ATTEMPT, Role.ENQUEUE):
                alone += self.facts_of(it)
        if not kept:
            return Arrival([], alone)
        touched = self._touched(kept)
        before = self._facts(touched.values())
        for it in kept:
            subject = self._subject(it)
            filed = [] if subject is None else filing_of(subject, self._rules.detailed)
            self._store.put(it, filed)
        # Some of those that arrived may have been kept before; they are looked at once.
        after = self._facts((touched | {it.event_id: it for it in kept}).values())
        retracted = [key for key, fact in before.items() if after.get(key) != fact]
        placed = [fact for key, fact in after.items() if before.get(key) != fact]
        return Arrival(retracted, [*alone, *placed])

    def facts_of(self, it: Observation) -> list[Placed]:
        """What one observation says now; nothing if its role is none that is placed."""
        rule = self._rules.by_id.get(it.rule)
        if rule is None or not _may_be_placed(rule):
            return []
        if rule.role is Role.DETAIL and not self._is_first_sign(Subject(it, rule, self._store)):
            return []
        if not it.segments:
            fact = self._fact(Subject(it, rule, self._store), it.event_id)
            return [] if fact is None else [fact]
        subjects = [Subject(it, rule, self._store, segment) for segment in it.segments]
        facts = (self._fact(s, _part_id(it, place)) for place, s in enumerate(subjects, 1))
        return [fact for fact in facts if fact is not None]

    def _facts(self, observations: Iterable[Observation]) -> _Facts:
        found = (fact for it in observations for fact in self.facts_of(it))
        return {(fact.run, fact.fact_id): fact for fact in found}

    def _subject(self, it: Observation) -> Subject | None:
        rule = self._rules.by_id.get(it.rule)
        return None if rule is None else Subject(it, rule, self._store)

    # What an observation says

    def _fact(self, subject: Subject, fact_id: bytes) -> Placed | None:
        it, rule = subject.it, subject.rule
        if not all(when.test(subject.raw(when.source)) for when in rule.only):
            return None
        number = self._number(subject)
        filling = Filling(subject, self.details_of(subject))
        task_id = filling.text("task_id") or filling.text("task_name")
        inferred: list[str] = []
        if task_id is None:
            if rule.role is Role.ENQUEUE:
                return None  # no attempt can be found by it
            task_id = it.name or rule.system
            inferred.append("task_id")
        key, whole = key_text(subject)
        runs = rule.role is Role.DETAIL or not (it.end_ns or it.is_log)
        if runs and (inferred or not whole):
            return None  # whose attempt runs is not known yet
        if not whole:
            inferred.append("run_id")
        run_id = self._run_id(subject, key or it.trace_id.hex())
        fact = fact_of(filling, RunKey(it.tenant, task_id, run_id), fact_id, number, inferred)
        return self._one_of(subject, fact) if rule.identity else fact

    def _is_first_sign(self, subject: Subject) -> bool:
        """Is this the first that tells of an attempt of which nothing else is known?"""
        where = subject.it.tenant
        if number_said(subject) is None or self._store.filed(where, attempt_key(subject), limit=1):
            return False
        told = self._store.filed(where, detail_key(subject), limit=DETAILS_LIMIT)
        signs = (it for it in told if self._rules.by_id[it.rule].shows_running)
        first = next(signs, None)
        return first is None or first.event_id == subject.it.event_id

    def _number(self, subject: Subject) -> int | None:
        segments = subject.it.segments
        if subject.rule.attempt is None and segments and subject.segment is not None:
            # Ordinal: with other spans of the run it is the order of start that counts.
            return None
        return number_said(subject)

    def details_of(self, subject: Subject) -> list[Subject]:
        """What other spans with its key and number tell of an attempt."""
        rule = subject.rule
        if rule.id not in self._rules.detailed:
            return []
        held = self._store.filed(subject.it.tenant, detail_key(subject), limit=DETAILS_LIMIT)
        return [found for it in held if (found := self._subject(it)) is not None]

    def _run_id(self, subject: Subject, key: str) -> str:
        """The key; behind it, where keys are used again, when the run's first attempt began."""
        it = subject.it
        if not subject.rule.new_run_on_attempt_1:
            return key
        where = it.tenant, first_key(subject)
        if subject.rule.role is Role.ENQUEUE:  # of the run that begins next
            firsts = self._store.filed(*where, it.start_ns, limit=1)
        else:
            firsts = self._store.filed(*where, 0, it.start_ns, newest=True, limit=1)
        return f"{key}@{firsts[0].start_ns}" if firsts else key

    def _one_of(self, subject: Subject, fact: Placed) -> Placed | None:
        """The fact, if of all that are the same attempt this span ended last."""
        same = self._store.filed(subject.it.tenant, same_key(subject), limit=DETAILS_LIMIT)
        if not same:
            return fact
        last = max(same, key=lambda it: (it.end_ns or TIME_MAX, it.start_ns, it.event_id))
        if last.event_id != subject.it.event_id:
            return None
        return widened(fact, same[0].start_ns)

    # Who looks at whom

    def _touched(self, arrived: Sequence[Observation]) -> dict[bytes, Observation]:
        """Of what is kept, all that may look at one of these."""
        touched: dict[bytes, Observation] = {}
        for it in arrived:
            for found in self._lookers(it):
                if found.event_id not in touched:
                    touched[found.event_id] = found
                    if found.role == Role.DETAIL:  # who looks at this one sees through it
                        touched |= {one.event_id: one for one in self._told_by(found)}
        return touched

    def _lookers(self, it: Observation) -> Iterator[Observation]:
        if it.is_log:
            yield from self._store.of_span(it.tenant, it.trace_id, it.span_id)
        else:
            yield from self._below(it)
            if self._rules.looks_down:
                yield from ancestors(self._store, it)
        yield from self._told_by(it)

    def _told_by(self, it: Observation) -> list[Observation]:
        """Attempts whose key leads to this observation."""
        subject = self._subject(it)
        if subject is None:
            return []
        rule, found = subject.rule, list[Observation]()
        if rule.role is Role.DETAIL:
            found += self._store.filed(it.tenant, attempt_key(subject), limit=DETAILS_LIMIT)
        if rule.shows_running or rule.id in self._rules.shown:
            found += self._store.filed(it.tenant, detail_key(subject), limit=DETAILS_LIMIT)
        if rule.identity:
            found += self._store.filed(it.tenant, same_key(subject), limit=DETAILS_LIMIT)
        if rule.new_run_on_attempt_1 and number_said(subject) == 1:
            found += self._run_around(subject)
        return found

    def _below(self, it: Observation) -> Iterator[Observation]:
        """Spans that may look up at this one: as far down as rules look up."""
        level = [it]
        for _ in range(self._rules.looks_up):
            below = [
                child
                for span in level
                for child in self._store.children(span.tenant, span.trace_id, span.span_id)
            ]
            level = below[:CHILDREN_LIMIT]
            yield from level

    def _run_around(self, subject: Subject) -> list[Observation]:
        """What belongs to the run of this first attempt, once it is known."""
        it, first = subject.it, first_key(subject)
        before = self._store.filed(it.tenant, first, 0, it.start_ns - 1, newest=True, limit=1)
        after = self._store.filed(it.tenant, first, it.start_ns + 1, limit=1)
        since = before[0].start_ns if before else 0
        until = after[0].start_ns if after else TIME_MAX
        return self._store.filed(it.tenant, series_key(subject), since, until)


def _may_be_placed(rule: Rule) -> bool:
    return rule.role in (Role.ATTEMPT, Role.ENQUEUE) or rule.shows_running


def _part_id(it: Observation, place: int) -> bytes:
    """The id of one of several facts that a span is."""
    part = it.event_id + place.to_bytes(4, "big")
    return hashlib.blake2b(part, digest_size=max(len(it.event_id), 1)).digest()
