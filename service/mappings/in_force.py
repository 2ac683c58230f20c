"""The rules in force: those that were last applied, kept whole in the data folder.

Files that are edited, and those of a new release, do nothing until they are applied: a rule that
changes rewrites history. `mappings.json` is written at the first start and by every `apply`.
"""

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from events.atomic_file import replace_file
from events.errors import SpanledgerError
from events.log.reader import open_reader
from projections.mapping.rules.files import builtin_rules, load_rules
from projections.mapping.rules.identity import Whole, identity_keys, whole_of
from projections.mapping.rules.in_force import FILE, InForce, read
from projections.mapping.rules.problems import BadRules
from projections.mapping.rules.ruleset import RuleSet

_log = logging.getLogger(__name__)


def put_in_force(
    data: Path,
    rules: RuleSet,
    directory: Path | None,
    clock: Callable[[], int] = time.time_ns,
) -> InForce:
    """Let these rules, those of `directory` among them, be in force from now on."""
    before = read(data)
    known = {} if before is None else before.whole_from
    head = _head(data)
    whole_from = {key: known.get(key, head) for key in sorted(identity_keys(rules))}
    pending = tuple(key for key in whole_from if key not in known)
    now = InForce(
        content=dict(rules.content), digest=rules.digest, applied_ns=clock(),
        whole_from=whole_from, pending=pending,
        directory="" if directory is None else str(directory.absolute()),
    )  # fmt: skip
    replace_file(data / FILE, msgspec.json.encode(now))
    return now


def begin(data: Path, directory: Path | None) -> InForce:
    """What is in force when a service starts; at the first start, the rules that are there.

    Other rules in the files are told, and do nothing.

    Raises:
        BadRules: there is nothing in force yet, and the files cannot be used.
    """
    held = read(data)
    if held is None:
        return put_in_force(data, load_rules(directory), directory)
    try:
        there = load_rules(directory)
    except BadRules as exc:
        _log.error(
            "mapping files cannot be used; what was applied stays in force",
            extra={"action": "mappings", "error": str(exc)},
        )
        return held
    if there.digest != held.digest:
        _log.warning(
            "the mapping files hold other rules than those in force; "
            "`spanledger mappings apply` puts them in force",
            extra={"action": "mappings", "in_force": held.digest, "in_files": there.digest},
        )
    return held


def whole_keys(data: Path, directory: Path | None) -> Whole:
    """Attributes that scrubbing leaves as they are, because the rules in force need them whole."""
    held = read(data)
    if held is not None:
        return whole_of(held.rules)
    try:
        return whole_of(load_rules(directory))  # as the projector puts them in force
    except BadRules:
        return whole_of(builtin_rules())


def told(data: Path) -> InForce | None:
    """Put on record that receivers leave whole what the rules need, from the end of the log on.

    Only keys that were not whole before are given the position; see `put_in_force`.
    """
    held = read(data)
    if held is None or not held.pending:
        return held
    head = _head(data)
    whole_from = held.whole_from | dict.fromkeys(held.pending, head)
    now = msgspec.structs.replace(held, whole_from=whole_from, pending=())
    replace_file(data / FILE, msgspec.json.encode(now))
    return now


def _head(data: Path) -> int:
    """The end of the log; 0 where there is none."""
    try:
        reader = open_reader(data)
    except SpanledgerError:
        return 0
    try:
        return reader.head().position
    finally:
        reader.close()
