"""Finds the most specific rule for an error; that of a cause, if the error itself says less."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import re2

from events.bounded import BoundedDict
from events.errors import BadSetting
from projections.errors.classify import confidence
from projections.errors.classify.rule import (
    KINDS,
    Category,
    Rule,
    RuleFile,
    Severity,
    read_rule_file,
    read_rules,
)  # fmt: skip
from projections.errors.classify.types import TypeIndex
from projections.errors.classify.verdict import Verdict
from projections.errors.classify.words import Guess, shipped_words
from projections.errors.normal.scan import options
from projections.errors.signature import SIGNATURE_BYTES, Part, Signature

_BUILT_IN: Final = "projections.errors.classify"
_MALUS: Final = {"member": 3, "cause": 45, "context": 55}
"""By how much a rule must know more of what an error came from than of the error itself: a domain's
own error says more than the look-up behind it."""
_WRAPPED: Final = {"member": 3, "cause": 3, "context": 15}
"""The same for errors that only wrap others."""
_TOP_FRAMES: Final = 6
_AGREEMENT: Final = 6
"""How close the next best of another category may come before the verdict is doubted."""
NOTHING: Final = Verdict(
    "unknown", "medium", None, confidence.UNTOLD, "nothing in the record tells the cause",
    "Record the exception's type, message and stack trace where {component} fails.", "", "",
)  # fmt: skip

STEPS: Final[Mapping[Category, str]] = {
    "network": "Check that {peer} is up and reachable from {component}, then retry with backoff.",
    "file_system": "Check that {path} is there, of the right kind, and readable for {component}.",
    "database": "Look at {name} in the database: its schema, its rows, and what else uses it.",
    "permission": "Check the credentials of {component} and what they are allowed at {peer}.",
    "timeout": "Find out what {peer} waited for; raise the limit of {limit} if the work needs it.",
    "validation": "Look at {name} and at where it comes from.",
    "execution": "Look at where {component} fails, and at what it was given: {name}.",
    "unknown": NOTHING.suggestion,
}
"""What to do where only the category is known."""
_BARE: Final = "unknown.bare"
_SILENT: Final = 0.45
_NO_BRACES: Final = str.maketrans("", "", "{}")
"""Braces in a suggestion stand for values of the record."""


class Evidence(NamedTuple):
    """That a rule knows something of an error."""

    rule: Rule
    rank: int
    matched: str


class Classifier:
    """Applies rules to signatures; those of later files come before those of earlier ones.

    Raises:
        BadSetting: all their patterns together are too large.
    """

    def __init__(self, files: Sequence[RuleFile]) -> None:
        self.rules = tuple(_overridden(files))
        parents: dict[str, str] = {}
        for file in files:
            parents.update(file.parents)
        self._kept: BoundedDict[Signature, Verdict] = BoundedDict(16 << 20)
        own = {rule.id for file in files if file not in built_in_files() for rule in file.rules}
        self._shipped = {rule.id for rule in self.rules} - own
        self._types = TypeIndex(self.rules, parents)
        self._codes: dict[str, list[Rule]] = {}
        self._frames: dict[str, list[Rule]] = {}
        self._patterns: list[Rule] = []
        self._set = re2.Set.SearchSet(options(case_sensitive=False))
        for rule in self.rules:
            for code in rule.codes:
                self._codes.setdefault(code, []).append(rule)
            for frame in rule.frames:
                self._frames.setdefault(frame, []).append(rule)
            for pattern in rule.messages:
                self._set.Add(pattern)
                self._patterns.append(rule)
        compile_set(self._set)
        self._order = {rule.id: number for number, rule in enumerate(self.rules)}

    def classify(self, signature: Signature) -> Verdict:
        """The verdict of the most specific rule; those of signatures met lately are kept."""
        verdict = self._kept.get(signature)
        if verdict is None:
            verdict = self._classify(signature)
            self._kept.keep(signature, verdict, SIGNATURE_BYTES)
        return verdict

    def _classify(self, signature: Signature) -> Verdict:
        found = sorted(self._evidence(signature), key=self._place)
        best = found[0] if found else None
        guess = shipped_words().guess(signature)
        if (
            guess is not None
            and (best is None or self._is_general(best))
            and _is_plain(guess, best)
        ):
            return _guessed(guess)
        if best is None:
            return _unknown(signature.thrown)
        rival = next((e for e in found if e.rule.category != best.rule.category), None)
        close = rival is not None and best.rank - rival.rank < _AGREEMENT
        return _verdict(best, close, guess)

    def _is_general(self, evidence: Evidence) -> bool:
        """Rules of users never are."""
        return evidence.rule.id in self._shipped and evidence.rank <= confidence.SPECIFIC_RANK

    def _place(self, evidence: Evidence) -> tuple[int, int]:
        return -evidence.rank, self._order[evidence.rule.id]

    def _evidence(self, signature: Signature) -> list[Evidence]:
        thrown = list(self._of_part(signature.thrown))
        best = max(thrown, key=lambda evidence: evidence.rank, default=None)
        maluses = _WRAPPED if best is None or best.rule.wrapper else _MALUS
        found, malus = thrown, 0
        for part in signature.parts[1:]:
            if part.relation != "suppressed":
                malus = max(malus, maluses.get(part.relation, 0))
                found += [one._replace(rank=one.rank - malus) for one in self._of_part(part)]
        return found

    def _of_part(self, part: Part) -> Iterator[Evidence]:
        kinds: dict[str, dict[str, str]] = {}
        ranks: dict[str, int] = {}
        for match in self._types.find(part.type) if part.type else ():
            kinds.setdefault(match.rule.id, {})["types"] = f"type {match.name}"
            ranks[match.rule.id] = match.bonus
        for code in part.codes:
            for rule in self._codes.get(code) or self._codes.get(_class_of(code)) or ():
                kinds.setdefault(rule.id, {})["codes"] = f"code {code}"
        for frame in part.frames[:_TOP_FRAMES]:
            for rule in self._frames.get(frame.lstrip("~"), ()):
                kinds.setdefault(rule.id, {})["frames"] = f"frame {frame}"
        if part.template:
            for at in self._set.Match(part.template) or ():
                rule = self._patterns[at]
                kinds.setdefault(rule.id, {})["messages"] = f"message {part.template[:120]!r}"
        for name, matched in kinds.items():
            rule = self.rules[self._order[name]]
            if rule.match == "all" and not _all_given(rule, matched):
                continue
            yield _of_rule(rule, matched, ranks.get(name, 0))


def _is_plain(guess: Guess, best: Evidence | None) -> bool:
    """Whether words say another thing than the rule plainly enough; general rules are asked less
    of."""
    silent = best is None or best.rule.id == _BARE
    if guess.probability < (_SILENT if silent else confidence.PLAIN):
        return False
    if best is not None and not silent and best.rule.category == "unknown":
        return False  # it is known that such an error does not tell its cause
    return guess.category not in ("unknown", best.rule.category if best else None)


def _guessed(guess: Guess) -> Verdict:
    """What the words say."""
    told = ", ".join(f"“{word}”" for word in guess.words) or "its type"
    severity: Severity = "medium" if guess.category in ("validation", "timeout") else "high"
    return Verdict(
        guess.category, severity, guess.transient, confidence.of_words(guess.probability),
        f"errors with {told} are mostly of this kind", STEPS[guess.category], "learnt.words",
        f"words {told}",
    )  # fmt: skip


def _unknown(thrown: Part) -> Verdict:
    """What is said where no rule knows the error: where to look, if the record tells it."""
    if not thrown.type or not thrown.frames:
        return NOTHING
    own = next((frame for frame in thrown.frames if not frame.startswith("~")), thrown.frames[0])
    kind, place = (text.lstrip("~").translate(_NO_BRACES) for text in (thrown.type, own))
    return msgspec.structs.replace(
        NOTHING,
        reason=f"no rule knows {kind}",
        suggestion=f"Look at {place}, which raises {kind}; a rule of your own can say what it is "
        "and whether it passes.",
    )


def compile_set(patterns: re2.Set) -> None:
    """RE2 bounds the memory of a set, so patterns that are well alone can be too many."""
    try:
        patterns.Compile()
    except re2.error as exc:
        raise BadSetting(
            "the patterns of all rules' messages together are too large for RE2; use fewer, or "
            "shorter ones, or smaller bounds in {…}"
        ) from exc


def _class_of(code: str) -> str:
    """The class of a code that no rule names: `sqlstate:23` and `http:4xx`."""
    kind, _, value = code.partition(":")
    if kind == "sqlstate":
        return f"sqlstate:{value[:2]}"
    return f"http:{value[:1]}xx" if kind == "http" else ""


def _of_rule(rule: Rule, matched: dict[str, str], bonus: int) -> Evidence:
    ranks = {kind: rule.rank_of(kind) + (bonus if kind == "types" else 0) for kind in matched}
    kind = max(ranks, key=lambda one: ranks[one])
    return Evidence(rule, ranks[kind], "; ".join(matched.values()))


def _all_given(rule: Rule, matched: dict[str, str]) -> bool:
    return all(kind in matched for kind in KINDS if getattr(rule, kind))


def _verdict(best: Evidence, close: bool, guess: Guess | None) -> Verdict:
    rule = best.rule
    sure = rule.confidence
    if sure is None:
        sure = confidence.of_rule(rule.category, best.rank, close, guess)
    return Verdict(
        rule.category, rule.severity, None if rule.transient == "unknown" else rule.transient,
        sure, rule.reason, rule.suggestion, rule.id, best.matched,
    )  # fmt: skip


def _overridden(files: Sequence[RuleFile]) -> Iterable[Rule]:
    """The rules, those of the last file first; of equal ids only the last."""
    seen: set[str] = set()
    for file in reversed(files):
        for rule in file.rules:
            if rule.id not in seen:
                seen.add(rule.id)
                yield rule


@cache
def built_in_files() -> tuple[RuleFile, ...]:
    """The rules that are shipped; reading them takes longer than most questions."""
    folder = resources.files(_BUILT_IN).joinpath("rules")
    names = sorted(file.name for file in folder.iterdir() if file.name.endswith(".toml"))
    return tuple(read_rules(folder.joinpath(name).read_text("utf-8"), name) for name in names)


def make_classifier(own: Iterable[Path] = ()) -> Classifier:
    """A classifier of the shipped rules and of the user's, which come first.

    Raises:
        BadSetting: a file of the user's is wrong; the message names file, rule and key.
    """
    files = list(built_in_files())
    for path in own:
        if path.is_dir():
            files += [read_rule_file(one) for one in sorted(path.glob("*.toml"))]
        elif path.exists():
            files.append(read_rule_file(path))
        else:
            raise BadSetting(f"{path}: no such file of rules")
    return Classifier(files)
