"""What is wrong with rules: every problem with its file, rule and key, and what to do about it."""

import difflib
from collections.abc import Iterable
from typing import NamedTuple

from events.errors import BadInput

SHOWN_LIMIT = 20
"""Problems that one message lists; the others are counted. As many names are offered."""
COMPARED_LIMIT = 1_000
NAME_CHARS = 100
"""So much is compared for a near name: a bound of the time that a bad file costs."""


class Problem(NamedTuple):
    """One thing to mend. `rule` and `key` are empty where the whole file is meant."""

    file: str
    rule: str
    key: str
    message: str

    def __str__(self) -> str:
        where = [self.file, *([f"rule {self.rule!r}"] if self.rule else [])]
        where += [f"key {self.key!r}"] if self.key else []
        return f"{', '.join(where)}: {self.message}"


class BadRules(BadInput):
    """Rules that cannot be used; `problems` are all that was found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        lines = [str(problem) for problem in self.problems[:SHOWN_LIMIT]]
        rest = len(self.problems) - len(lines)
        super().__init__("\n".join([*lines, *([f"and {rest} more"] if rest > 0 else [])]))


class Invalid(ValueError):
    """A part of a rule is wrong; whoever knows the file, rule and key makes a `Problem` of it."""


def near(word: str, known: Iterable[str]) -> str:
    """`; did you mean …?` where a known word is near, else the words there are."""
    words = sorted(known)
    found = difflib.get_close_matches(word[:NAME_CHARS], words[:COMPARED_LIMIT], 1, 0.6)
    if found:
        return f"; did you mean {found[0]!r}?"
    more = ", …" if len(words) > SHOWN_LIMIT else ""
    return f"; there are: {', '.join(words[:SHOWN_LIMIT])}{more}"
