"""Conditions of a rule: what a value must be.

`"*"` present, `"!"` absent or an empty text, a text with `*` or `?` a pattern, any other text,
number or truth value itself; a list: one of them. Patterns run on RE2, in time linear in the text.
"""

from collections.abc import Callable
from typing import Any, Final

import re2

from projections.mapping.rules.problems import Invalid

PATTERN_CHARS: Final = 2_000
"""Upper bound of a pattern or regular expression."""
TEXT_CHARS: Final = 32_768
"""No more of a value is searched."""

Test = Callable[[Any], bool]
"""Whether a value, None where it is absent, is as the condition wants it."""

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 1 << 20


def regular(text: str) -> Any:
    """A compiled regular expression.

    Raises:
        Invalid: it is too long, no expression of RE2, or too large when compiled.
    """
    if len(text) > PATTERN_CHARS:
        raise Invalid(f"a regular expression may have {PATTERN_CHARS} characters")
    try:
        return re2.compile(text, _OPTIONS)
    except re2.error as exc:
        said = exc.args[0].decode() if isinstance(exc.args[0], bytes) else exc
        raise Invalid(f"{text!r} is no regular expression of RE2: {said}") from exc


def is_pattern(text: str) -> bool:
    """Whether a text has `*` or `?` in it."""
    return "*" in text or "?" in text


def glob(text: str) -> Callable[[str], bool]:
    """Whether a whole text is like this pattern, in which `*` is any text and `?` one character."""
    if not is_pattern(text):
        return text.__eq__
    if text.endswith("*") and not is_pattern(text[:-1]):
        prefix = text[:-1]
        return lambda value: value.startswith(prefix)
    signs = {"*": "(?s:.*)", "?": "(?s:.)"}
    compiled = regular("".join(signs.get(sign, re2.escape(sign)) for sign in text))
    return lambda value: compiled.fullmatch(value[:TEXT_CHARS]) is not None


def condition(wanted: Any) -> Test:
    """The test that a condition means.

    Raises:
        Invalid: a value that no condition has, such as a table or a date.
    """
    if isinstance(wanted, list):
        if not wanted:
            raise Invalid("an empty list holds for nothing; leave the condition out")
        tests = [condition(one) for one in wanted]
        return lambda value: any(test(value) for test in tests)
    if wanted == "*":
        return _present
    if wanted == "!":
        return _absent
    if isinstance(wanted, str):
        return _text_test(wanted)
    if isinstance(wanted, bool):
        return lambda value: value is wanted
    if isinstance(wanted, int | float):
        return lambda value: not isinstance(value, bool) and bool(value == wanted)
    raise Invalid("a condition is a text, a number, true or false, or a list of these")


def _text_test(wanted: str) -> Test:
    if not is_pattern(wanted):
        return lambda value: type(value) is str and value == wanted
    like = glob(wanted)
    return lambda value: type(value) is str and like(value)


def _present(value: Any) -> bool:
    return value is not None and value != ""


def _absent(value: Any) -> bool:
    return value is None or value == ""
