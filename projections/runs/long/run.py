"""A run of many facts, kept in memory: one more ended attempt costs the same at any length.

What is added is taken in by itself where it is sure that nothing else moves; whatever is not sure
goes the full way, which derives the run from all of its facts. Both give the same, by test.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable

import msgspec

from projections.runs.attempt import Attempt
from projections.runs.candidates import Abandoned, Candidate, Queueing, says_running
from projections.runs.changes import Difference
from projections.runs.derive import attempt_of, repeated_by, resolve
from projections.runs.details import SpanKey, hangs, key_of, parent_of
from projections.runs.facts import LogFact, LogKind, RunFacts, SpanFact, added_to
from projections.runs.long.before import Added, Before
from projections.runs.long.left_out import (
    ATTEMPTS_LIMIT,
    Brief,
    LeftOut,
    brief_of,
    is_counted,
    time_of,
)
from projections.runs.numbering import FreeNumbers, RunIdentity, place_of, spelling
from projections.runs.scopes import Counts, Sources
from projections.runs.summary import Run, Totals

_NONE_ABANDONED = Abandoned(())
_BEFORE_ALL = (-(1 << 63), b"")


class LongRun:
    """The facts of a run and what is derived from them.

    Args:
        identity: tenant, task id and run id, of which attempt ids are made.
        limit: of the attempts that it shows; a limit of ended spans.
        left_out: what was left out before.
    """

    def __init__(
        self,
        facts: RunFacts,
        identity: RunIdentity,
        sources: Sources,
        limit: int = ATTEMPTS_LIMIT,
        left_out: Iterable[Brief] = (),
    ) -> None:
        self.facts = RunFacts([], [], [])
        self.run: Run | None = None
        self.attempts: dict[int, Attempt] = {}
        self._identity = identity
        self._limit = limit
        self._left_out = LeftOut()
        for one in left_out:
            self._left_out.add(one)
        self._ids: set[bytes] = set()
        self._places: list[tuple[int, bytes]] = []  # of the spans that count for the limit
        self._plain = False
        self._counts = Counts(sources)
        self.put_out = self.add(facts).out

    @property
    def size(self) -> int:
        """How many facts it holds."""
        return len(self._ids)

    def is_beyond(self, span: SpanFact) -> bool:
        """Would this span be left out, or is it?"""
        full = len(self._places) >= self._limit
        return full and is_counted(span) and time_of(span) > self._places[-1]

    def add(self, new: RunFacts) -> "Added":
        """Take in more facts; of spans that are left out already it does not know."""
        fresh = added_to(self._ids, new)
        fresh, out, moves = self._within_limit(fresh)
        old, before = self.run, Before(self.attempts)
        facts: list[SpanFact | LogFact] = [*fresh.spans, *fresh.logs]
        facts.sort(key=time_of)
        sure = not fresh.abandoned and self._plain and not moves
        for fact in facts:
            sure = sure and self._take(fact, before)
        self.facts.extend(fresh)
        if not sure:
            held = self.attempts | before.replaced
            before = Before({n: attempt for n, attempt in held.items() if attempt is not None})
            self._derive()
            before.all_of(self.attempts)
        elif before.replaced or out:
            self._sum_up()
        return Added(fresh, out, self._difference(old, before, self))

    def until(self, later: "LongRun") -> Difference | None:
        """What changed from here to another state of the same run; this one ends with it."""
        (before := Before(self.attempts)).all_of(later.attempts)
        return self._difference(self.run, before, later)

    def _difference(self, old: Run | None, before: Before, now: "LongRun") -> Difference | None:
        gone, came = before.difference(now.attempts)
        if not gone and not came and old == now.run:
            return None
        return Difference(old, now.run, gone, came, self._counts.change(old, now.run, gone, came))

    def _sum_up(self) -> None:
        """Make the run of its attempts and of what is left out."""
        run = self._totals.run_with(self._last, self._queued_ns)
        failed = self._totals.failed + self._last.failed
        self.run = self._left_out.counted_in(run, failed, self._queued_ns)

    def _within_limit(self, fresh: RunFacts) -> tuple[RunFacts, list[Brief], bool]:
        """The facts without the spans beyond the limit; those; and whether the bound moved."""
        for span in fresh.spans:
            if is_counted(span):
                insort(self._places, time_of(span))
        beyond = self._places[self._limit :]
        if not beyond:
            return fresh, [], False
        del self._places[self._limit :]
        ids = {event_id for _, event_id in beyond}
        out = [span for span in fresh.spans if span.event_id in ids]
        moves = len(out) < len(ids) or not self._left_out.attempts
        if len(out) < len(ids):
            out += [span for span in self.facts.spans if span.event_id in ids]
            self.facts.spans = [span for span in self.facts.spans if span.event_id not in ids]
        self._ids -= ids
        briefs = [brief_of(span) for span in out]
        for one in briefs:
            self._left_out.add(one)
        kept = [span for span in fresh.spans if span.event_id not in ids]
        return RunFacts(kept, fresh.logs, fresh.abandoned), briefs, moves

    # The full way

    def _derive(self) -> None:
        """Everything from all facts, and what the short way needs to know of it."""
        found = resolve(self._listed(), self._identity)
        self._references, self._shift = found.references, found.shift
        self._queued_ns = found.queued_ns
        self._totals = Totals()
        if found.derived is None or not found.derived.attempts:
            self.run = None if found.derived is None else found.derived.run
            self.attempts, self._plain = {}, False
            return
        self.attempts = {attempt.number: attempt for attempt in found.derived.attempts}
        self._numbers = list(self.attempts)
        *others, self._last = found.derived.attempts
        for attempt in others:
            self._totals.add(attempt)
        self._sum_up()
        self._plain = self._know(found.tries)

    def _listed(self) -> RunFacts:
        """The facts without those of attempts behind the limit that have not ended."""
        facts, bound_ns = self.facts, self._bound_ns()
        if bound_ns is None:
            return facts
        spans = [s for s in facts.spans if s.end_ns or s.start_ns <= bound_ns]
        keys = {key_of(span) for span in spans}
        keys |= {key_of(log) for log in facts.logs if log.time_ns <= bound_ns}
        logs = [log for log in facts.logs if log.time_ns <= bound_ns or key_of(log) in keys]
        return RunFacts(spans, logs, facts.abandoned)

    def _bound_ns(self) -> int | None:
        """The start of the last attempt that is listed, where some are not."""
        return self._places[-1][0] if self._left_out.attempts else None

    def _is_unlisted(self, fact: SpanFact | LogFact) -> bool:
        """Does a fact tell of an attempt behind the limit that has not ended?"""
        bound_ns = self._bound_ns()
        if bound_ns is None or time_of(fact)[0] <= bound_ns:
            return False
        return not fact.end_ns if isinstance(fact, SpanFact) else key_of(fact) not in self._keys

    def _know(self, tries: Iterable[Candidate]) -> bool:
        """Note what the short way looks up; False if it can't be sure of anything."""
        facts = self._listed()
        self._free = FreeNumbers(self.attempts)
        self._top = self._top_other = _BEFORE_ALL
        self._first_claims: dict[int, tuple[int, bytes]] = {}
        self._claims: dict[int, int] = {}  # how often each number is said
        self._wanted: set[str] = set()  # what no attempt was found for
        self._beating: dict[SpanKey | int, Candidate] = {}
        self._last_beat: dict[SpanKey | int, tuple[int, bytes]] = {}
        self._keys = {key_of(span) for span in facts.spans if not span.queues}
        self._queueing = Queueing(facts.spans)
        self._keys |= {key_of(log) for log in facts.logs if log.span_id}
        self._parents = {parent_of(span) for span in facts.spans} - {None}
        self._tail = 0
        for one in tries:
            if place_of(one) < self._top or self._references.is_loose(one):
                return False  # what is said orders the tries otherwise than the clocks
            self._note(one)
        unsure = bool(facts.abandoned) or any(map(hangs, facts.spans))
        return not unsure and all(log.span_id for log in facts.logs)

    def _note(self, one: Candidate) -> None:
        """Learn of one more try, which has its number."""
        self._top = max(self._top, place_of(one))
        if one.claim and one.claim == one.number:
            self._first_claims[one.claim] = place_of(one)
        else:
            self._top_other = max(self._top_other, place_of(one))
        if one.claim:
            self._claims[one.claim] = self._claims.get(one.claim, 0) + 1
        if place_of(one) == self._top:
            self._tail = one.number
        if one.repeats is not None and self._references.find(one) is None:
            self._wanted.add(spelling(one.repeats))
        if one.span is None:
            key = key_of(one.said)
            self._beating[key] = one
            self._last_beat[key] = max(time_of(log) for log in one.logs)

    # The short way: False if it is not sure, and then the full way is gone

    def _take(self, fact: SpanFact | LogFact, before: Before) -> bool:
        if fact.number == 0 and not self._shift:
            return False  # all numbers are shown one higher from now on
        if self._is_unlisted(fact):
            return True
        if isinstance(fact, SpanFact):
            return self._take_span(fact, before)
        return self._take_log(fact, before)

    def _take_span(self, span: SpanFact, before: Before) -> bool:
        key, parent = key_of(span), parent_of(span)
        if not span.end_ns or span.queues or key in self._parents or hangs(span):
            return False
        if key in self._keys:
            return self._end(span, before)
        if not self._is_outside(parent, span):
            return False
        one = Candidate(span.start_ns, span.event_id, self._claim(span.number), span, [])
        return self._append(one, before) and self._learn(key, parent)

    def _take_log(self, log: LogFact, before: Before) -> bool:
        key = key_of(log)
        if not log.span_id or not says_running(log):
            return False
        if key in self._beating:
            return self._beat(log, before)
        if key in self._keys or key in self._parents:
            return False
        one = Candidate(log.time_ns, log.event_id, self._claim(log.number), None, [log])
        return self._append(one, before) and self._learn(key, None)

    def _claim(self, said: int | None) -> int:
        return 0 if said is None else said + self._shift

    def _learn(self, key: SpanKey, parent: SpanKey | None) -> bool:
        self._keys.add(key)
        if parent is not None:
            self._parents.add(parent)
        return True

    def _is_outside(self, parent: SpanKey | None, span: SpanFact) -> bool:
        """Is this span surely no detail, and is none its detail?"""
        if parent in self._keys:
            return False
        alone = self._claim(span.number) not in self._claims
        if span.number is None or alone:
            return True
        ends = (self._totals.last_ended_ns or 0, self._last.ended_ns or 0)
        clear = parent is None or parent in self._queueing or span.end_ns > max(ends)
        return clear and span.start_ns > self._top[0]

    def _number(self, one: Candidate) -> int:
        """The number of one more try; 0 if another one might have to make room."""
        place, claim = place_of(one), one.claim
        if place < self._top_other:
            return 0
        if claim and claim not in self._free.taken:
            return claim
        if not claim:
            return self._free.after(self._tail) if place > self._top else 0
        first = self._first_claims.get(claim)
        return self._free.after(claim) if first is not None and place > first else 0

    def _is_wanted(self, one: Candidate, number: int) -> bool:
        """Might a try that is here already repeat this one?"""
        wanted = self._wanted
        if not wanted:
            return False
        if spelling(one.span_id.hex()) in wanted:
            return True
        numbers = number, len(self.attempts) + 1
        if any(str(known - self._shift) in wanted for known in numbers):
            return True
        return any(name in wanted for name in self._references.attempt_ids(*numbers))

    def _append(self, one: Candidate, before: Before) -> bool:
        """One more attempt, whose number nobody else has or gets."""
        number = self._number(one)
        queued = self._queueing.may_change(one, len(self.attempts), self._top[0])
        if not number or queued or self._is_wanted(one, number):
            return False
        target = self._references.find(one)
        if isinstance(target, int) or self._references.is_loose(one):
            return False
        if target is not None and place_of(target) > place_of(one):
            return False
        if place_of(one) < self._top and self._references.has_span(one):
            return False
        one.number, one.moved = self._free.take(number), bool(one.claim) and number != one.claim
        self._references.add(one)
        at = bisect_left(self._numbers, number)
        earlier = self._numbers[at - 1] if at else None
        attempt = attempt_of(one, _NONE_ABANDONED, repeated_by(one, self._references, earlier))
        if at == len(self._numbers):
            self._totals.add(self._last)
            self._numbers.append(number)
            self._last = attempt
        else:
            self._follow(self._numbers[at], number, before)
            insort(self._numbers, number)
            self._totals.add(attempt)
        before.note(number)
        self.attempts[number] = attempt
        self._note(one)
        return True

    def _follow(self, number: int, earlier: int, before: Before) -> None:
        """Let an attempt follow another one, if it does not say what it repeats."""
        one = self._references.by_number[number]
        assert isinstance(one, Candidate)
        repeated = repeated_by(one, self._references, earlier)
        self._replace(number, before, retry_of=repeated)

    def _replace(self, number: int, before: Before, **changes: object) -> None:
        before.note(number)
        attempt = msgspec.structs.replace(self.attempts[number], **changes)
        self.attempts[number] = attempt
        if number == self._last.number:
            self._last = attempt

    def _beat(self, log: LogFact, before: Before) -> bool:
        """A sign of life of a running attempt, later than all others of it."""
        key = key_of(log)
        one, number = self._beating[key], self._beating[key].number
        if log.kind not in (LogKind.HEARTBEAT, LogKind.PROGRESS):
            return False
        if time_of(log) < self._last_beat[key] or (key in self._parents and log.number is not None):
            return False
        if self.attempts[number].ended_ns is not None or (not one.claim and log.number is not None):
            return False
        one.logs.append(log)
        self._last_beat[key] = time_of(log)
        attempt = self.attempts[number]
        beat = log.time_ns if log.kind == LogKind.HEARTBEAT else attempt.heartbeat_ns
        signs, heard = attempt.signs, attempt.heard
        if beat is not None and signs is None:
            alive = [sign for sign in one.logs if sign.kind != LogKind.EXCEPTION]
            signs, heard = len(alive), max(sign.position for sign in alive)
        elif signs is not None and heard is not None:
            signs, heard = signs + 1, max(heard, log.position)
        progress = attempt.progress if log.progress is None else log.progress
        self._replace(
            number, before, heartbeat_ns=beat, signs=signs, heard=heard, progress=progress
        )
        return True

    def _end(self, span: SpanFact, before: Before) -> bool:
        """The span of the last attempt, which was known from log records only."""
        key, parent = key_of(span), parent_of(span)
        one = self._beating.get(key)
        if (
            self._queueing
            or one is None
            or one.number != self._last.number
            or place_of(one) != self._top
        ):
            return False
        claim, said = self._claim(span.number), one.repeats
        alone = not claim or self._claims.get(claim) == 1
        if claim != one.claim or not alone or parent in self._keys:
            return False
        if span.start_ns <= (self._totals.last_started_ns or -1):
            return False  # it might not be the last any more
        if said != (None if span.more is None else span.more.retry_of):
            return False
        one.span, one.start_ns, one.event_id = span, span.start_ns, span.event_id
        before.note(one.number)
        self._last = attempt_of(one, _NONE_ABANDONED, self._last.retry_of)
        self.attempts[one.number] = self._last
        del self._beating[key], self._last_beat[key]
        self._top = place_of(one)
        if one.claim:
            self._first_claims[one.claim] = self._top
        else:
            self._top_other = self._top
        return self._learn(key, parent)
