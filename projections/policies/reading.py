"""Policy files: read, checked, and put behind or before those that are shipped."""

import re
import tomllib
from functools import cache
from hashlib import sha256
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from events.errors import BadSetting
from projections.policies.lines import Lines
from projections.policies.resolving import Placed, PolicySet
from projections.policies.rule import Rule, Settings

FILE_LIMIT_BYTES: Final = 32 << 10
"""Of a file; with it a fact of the log that holds it stays below its bound."""
BUILT_IN: Final = "built-in"
DEFAULTS: Final = "defaults"
_KEYS: Final = ("inherit", "defaults", "rule")
_PATH: Final = re.compile(r" - at `\$(.*)`$")
_STEP: Final = re.compile(r"\.([A-Za-z0-9_]+)|\[(\d+)\]")
_UNKNOWN: Final = re.compile(r"unknown field `(.+)`")
_T = TypeVar("_T", bound=msgspec.Struct)


class BadPolicies(BadSetting):
    """A policy file is wrong; the message has a line for each fault: file, line, rule, key."""


class _Reading:
    """The faults of one file, and where its keys stand."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.lines = Lines(text)
        self.faults: list[str] = []

    def fault(self, path: tuple[str | int, ...], rule: str, message: str) -> None:
        keys = ".".join(str(part) for part in path if isinstance(part, str) and part != "rule")
        where = f"rule {rule!r}: " if rule else ""
        key = f"{keys}: " if keys and keys != rule else ""
        self.faults.append(f"{self.name}:{self.lines.of(path)}: {where}{key}{message}")

    def convert(
        self, value: Any, kind: type[_T], at: tuple[str | int, ...], rule: str
    ) -> _T | None:
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as exc:
            message = str(exc)
            found = _PATH.search(message)
            path = at
            for name, number in _STEP.findall(found[1]) if found else ():
                path = (*path, name or int(number))
            message = _PATH.sub("", message).replace(" | null", "")  # TOML has no null
            if unknown := _UNKNOWN.search(message):
                path, message = (*path, unknown[1]), "this key is unknown here"
            elif message.startswith("Object missing"):
                message = message.replace("Object missing", "is missing the")
            self.fault(path, rule, message)
            return None


def read_policies(text: str, name: str) -> PolicySet:
    """The policies of a file's text, with those that are shipped behind them.

    Raises:
        BadPolicies: with every rule that is wrong.
    """
    if len(text.encode()) > FILE_LIMIT_BYTES:
        raise BadPolicies(f"{name}:1: larger than {FILE_LIMIT_BYTES >> 10} KiB")
    try:
        table = tomllib.loads(text)
    except ValueError as exc:
        line = re.search(r"at line (\d+)", str(exc))
        number = line[1] if line else len(text.splitlines()) or 1
        raise BadPolicies(f"{name}:{number}: no TOML: {exc}") from exc
    except RecursionError as exc:
        raise BadPolicies(f"{name}:1: nested too deep") from exc
    reading = _Reading(name, text)
    rules = _rules(reading, table)
    inherit = table.get("inherit", True)
    if not isinstance(inherit, bool):
        reading.fault(("inherit",), "", "write true or false")
    if reading.faults:
        raise BadPolicies("\n".join(reading.faults))
    behind = () if not inherit else built_in().rules if name != BUILT_IN else ()
    own = {rule.rule.id for rule in rules}
    kept = tuple(rule for rule in behind if rule.rule.id not in own or rule.rule.id == DEFAULTS)
    return PolicySet((*kept, *rules), text, _digest(text))


def _rules(reading: _Reading, table: dict[str, Any]) -> list[Placed]:
    for key in table.keys() - _KEYS:
        reading.fault((key,), "", f"this key is unknown; known: {', '.join(_KEYS)}")
    found: list[Placed] = []
    defaults = table.get(DEFAULTS)
    if defaults is not None:
        settings = reading.convert(defaults, Settings, (DEFAULTS,), DEFAULTS)
        if settings is not None:
            rule = Rule(
                id=DEFAULTS, **{k: getattr(settings, k) for k in Settings.__struct_fields__}
            )
            found.append(_placed(reading, rule, (DEFAULTS,)))
    rules = table.get("rule", [])
    if not isinstance(rules, list):
        reading.fault(("rule",), "", "rules are tables of an array: write [[rule]]")
        return found
    seen = {DEFAULTS}
    for number, given in enumerate(rules):
        at = ("rule", number)
        label = given.get("id") if isinstance(given, dict) else None
        one = reading.convert(given, Rule, at, label if isinstance(label, str) else f"{number + 1}")
        if one is None:
            continue
        if one.id in seen:
            reading.fault((*at, "id"), one.id, "stands there twice, or means the defaults")
        seen.add(one.id)
        found.append(_placed(reading, one, at))
    return found


def _placed(reading: _Reading, rule: Rule, at: tuple[str | int, ...]) -> Placed:
    return Placed(rule, reading.name, reading.lines.of(at))


def read_policy_file(path: Path) -> PolicySet:
    """The policies of a file.

    Raises:
        BadPolicies: it cannot be read, or is wrong.
    """
    try:
        with path.open("rb") as file:
            text = file.read(FILE_LIMIT_BYTES + 1).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadPolicies(f"{path}: cannot be read: {exc}") from exc
    return read_policies(text, str(path))


@cache
def built_in() -> PolicySet:
    """The policies that are shipped."""
    text = resources.files("projections.policies").joinpath("builtin.toml").read_text("utf-8")
    return read_policies(text, BUILT_IN)


def _digest(text: str) -> str:
    """What tells one version of a file from another."""
    return sha256(text.encode()).hexdigest()[:16]
