"""What the settings add: patterns that are private here, and patterns that are not."""

from collections.abc import Iterable
from typing import Final

import re2

from events.errors import BadInput
from service.otlp.scrub.rule import Rule, harmless, whole

PRIVATE: Final = "private"


def own_rules(patterns: Iterable[str], allowed: Iterable[str]) -> list[Rule]:
    """Rules from RE2 patterns; what is allowed stands before what is private.

    Raises:
        BadInput: one is no pattern, or matches nothing at all, and so everywhere.
    """
    rules = [Rule(PRIVATE, _checked("scrub_allow", text), harmless) for text in allowed]
    rules += [Rule(PRIVATE, _checked("scrub_patterns", text), whole(PRIVATE)) for text in patterns]
    return rules


def _checked(setting: str, pattern: str) -> str:
    option = f"--{setting.replace('_', '-')}"
    try:
        options = re2.Options()
        options.log_errors = False  # it would write them to standard error itself
        matches_nothing = re2.compile(pattern, options).search("") is not None
    except re2.error as error:
        raise BadInput(
            f"{option} {pattern!r}: {_reason(error)}; it must be an RE2 pattern"
        ) from error
    if matches_nothing:
        raise BadInput(f"{option} {pattern!r} matches the empty text, and so everywhere")
    return f"(?:{pattern})"


def _reason(error: Exception) -> str:
    reason = error.args[0] if error.args else error
    return reason.decode() if isinstance(reason, bytes) else str(reason)
