"""A rule as it stands in a TOML file, and the check of such files.

    [[rule]]
    id = "mine.licence"
    category = "permission"
    severity = "high"
    transient = false
    types = ["LicenceError"]
    messages = ["licence (expired|exceeded)"]
    reason = "the licence does not allow it"
    suggestion = "Renew the licence of {service}."

Of `types`, `messages`, `codes` and `frames` one must match; with
`match = "all"` one of each that is given.
"""

from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import re2

from events.errors import BadSetting
from projections.errors.normal.scan import options

Category = Literal[
    "network", "file_system", "database", "permission", "timeout", "validation", "execution",
    "unknown",
]  # fmt: skip
Severity = Literal["low", "medium", "high", "critical"]
FILE_LIMIT_BYTES: Final = 1 << 20
KINDS: Final = ("types", "messages", "codes", "frames")
_RANKS: Final = {"types": 40, "messages": 50, "codes": 60, "frames": 60, "all": 70}


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which errors it knows, and what it says of them."""

    id: str
    category: Category
    severity: Severity = "medium"
    transient: bool | Literal["unknown"] = False
    types: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()
    frames: tuple[str, ...] = ()  # `file:function` or function, as a signature has them
    match: Literal["any", "all"] = "any"
    wrapper: bool = False  # what it was caused by says more, if that is known
    rank: int | None = None  # 0 to 100: the more specific wins; else by what matched
    confidence: float | None = None  # 0 to 1; else by what matched
    reason: str
    suggestion: str

    def rank_of(self, kind: str) -> int:
        """How specific a match by this kind of evidence is."""
        if self.rank is not None:
            return self.rank
        return _RANKS["all" if self.match == "all" else kind]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    rule: list[dict[str, Any]] = []
    parents: dict[str, str] = {}  # of a type, the one whose rules hold for it


class RuleFile(msgspec.Struct, frozen=True):
    """The rules of one file, and the types that it names the parents of."""

    name: str
    rules: tuple[Rule, ...]
    parents: dict[str, str]


def read_rules(text: str, name: str) -> RuleFile:
    """The rules of a TOML file's text.

    Raises:
        BadSetting: what is wrong, in which rule and key of which file.
    """
    if len(text.encode()) > FILE_LIMIT_BYTES:
        raise BadSetting(f"{name}: larger than {FILE_LIMIT_BYTES >> 20} MiB")
    try:
        file = msgspec.convert(msgspec.toml.decode(text), _File)
    except (msgspec.DecodeError, msgspec.ValidationError, ValueError) as exc:
        raise BadSetting(f"{name}: {exc}") from exc
    except RecursionError as exc:
        raise BadSetting(f"{name}: nested too deep") from exc
    rules = []
    seen: set[str] = set()
    for number, raw in enumerate(file.rule, 1):
        rule = _rule(raw, name, number)
        if rule.id in seen:
            raise BadSetting(f"{name}, rule {rule.id!r}: key id: stands there twice")
        seen.add(rule.id)
        rules.append(rule)
    return RuleFile(name, tuple(rules), file.parents)


def read_rule_file(path: Path) -> RuleFile:
    """The rules of a file of the user's.

    Raises:
        BadSetting: it cannot be read, or a rule of it is wrong.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadSetting(f"{path}: cannot be read: {exc}") from exc
    return read_rules(text, str(path))


def _rule(raw: dict[str, Any], name: str, number: int) -> Rule:
    called = (
        f"{name}, rule {raw['id']!r}"
        if isinstance(raw.get("id"), str)
        else f"{name}, rule no. {number}"
    )
    try:
        rule = msgspec.convert(raw, Rule)
    except msgspec.ValidationError as exc:
        raise BadSetting(f"{called}: {_with_key(str(exc))}") from exc
    for key, problem in _problems(rule):
        raise BadSetting(f"{called}: key {key}: {problem}")
    return rule


def _with_key(text: str) -> str:
    """The message of a failed conversion with the key before it."""
    what, mark, path = text.partition(" - at `$.")
    return f"key {path.rstrip('`')}: {what}" if mark else text


def _problems(rule: Rule) -> list[tuple[str, str]]:
    found = []
    given = [key for key in KINDS if getattr(rule, key)]
    if not given:
        found.append(("types", "a rule needs types, messages, codes or frames"))
    if rule.match == "all" and len(given) < 2:
        found.append(("match", '"all" needs two of types, messages, codes and frames'))
    if rule.rank is not None and not 0 <= rule.rank <= 100:
        found.append(("rank", f"{rule.rank} is not in 0 to 100"))
    if rule.confidence is not None and not 0 <= rule.confidence <= 1:
        found.append(("confidence", f"{rule.confidence} is not in 0 to 1"))
    for code in rule.codes:
        if ":" not in code:
            found.append(("codes", f"{code!r} has no kind, as in http:503"))
    for pattern in rule.messages:
        try:
            re2.compile(pattern, options(case_sensitive=False))
        except re2.error as exc:
            reason = exc.args[0].decode() if isinstance(exc.args[0], bytes) else exc
            found.append(("messages", f"{pattern!r} is no pattern of RE2: {reason}"))
    return found
