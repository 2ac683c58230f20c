"""Finds what one of several patterns matches, in time linear in the text.

RE2 looks at each byte once, whatever the patterns. Groups are not asked for: they cost RE2 its
fast automaton, and Python ten microseconds a match; what was found is looked at again instead.
"""

from collections.abc import Iterator
from typing import Any, Final

import re2

MEMORY_BYTES: Final = 64 << 20
"""Room for the whole automaton: a flush costs a rescan."""


def options(case_sensitive: bool = True) -> Any:
    """Options of RE2 under which patterns are fast and bad ones raise instead of being logged."""
    made = re2.Options()
    made.never_capture = True
    made.max_mem = MEMORY_BYTES
    made.log_errors = False
    made.case_sensitive = case_sensitive
    return made


class Scan:
    """Alternatives, of which the first that matches at a place wins."""

    def __init__(self, *patterns: str, case_sensitive: bool = True) -> None:
        joined = "|".join(f"(?:{pattern})" for pattern in patterns)
        self._finditer = re2.compile(joined.encode(), options(case_sensitive)).finditer

    def spans(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where something matches, ascending, in bytes."""
        for found in self._finditer(data):
            yield found.span()
