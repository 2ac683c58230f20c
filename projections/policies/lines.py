"""Where in a TOML file a key stands; parsers of TOML don't tell.

The file has been parsed, so it is well formed: headers, keys and strings of several lines are all
that has to be told apart. What stands inside a value has the line of its key.
"""

import re
from collections.abc import Sequence
from typing import Final

_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY: Final = re.compile(
    r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART: Final = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")
_QUOTES: Final = ('"""', "'''")
Path = tuple[str | int, ...]


class Lines:
    """The lines of a file's keys, by their path; tables of an array have a number, from 0."""

    def __init__(self, text: str) -> None:
        self._found: dict[Path, int] = {(): 1}
        self._counts: dict[Path, int] = {}
        self._table: Path = ()
        closing = ""  # of a string of several lines
        depth = 0  # of an array of several lines
        for number, line in enumerate(text.splitlines(), 1):
            if closing:
                closing = "" if closing in line else closing
            elif depth:
                depth += _opened(line)
            elif header := _HEADER.match(line):
                self._open(_parts(header[2]), number, is_array=header[1] == "[[")
            elif key := _KEY.match(line):
                self._keep((*self._table, *_parts(key[1])), number)
                rest = line[key.end() :]
                closing = next((q for q in _QUOTES if rest.count(q) == 1), "")
                depth = 0 if closing else _opened(rest)

    def of(self, path: Sequence[str | int]) -> int:
        """The line of a path, or of the nearest that stands around it; from 1."""
        wanted = tuple(path)
        while wanted not in self._found:
            wanted = wanted[:-1]
        return self._found[wanted]

    def _open(self, names: Path, number: int, *, is_array: bool) -> None:
        path: Path = ()
        for at, name in enumerate(names):
            path = (*path, name)
            if is_array and at == len(names) - 1:
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
        self._table = path
        self._keep(path, number)

    def _keep(self, path: Path, number: int) -> None:
        for end in range(1, len(path) + 1):
            self._found.setdefault(path[:end], number)


def _parts(text: str) -> Path:
    return tuple(part.strip("\"'") for part in _PART.findall(text))


def _opened(line: str) -> int:
    """By how much an array is open after a line; brackets in strings and comments don't count."""
    bare = re.sub(r'"(?:\\.|[^"\\])*"|\'[^\']*\'', "", line).partition("#")[0]
    return bare.count("[") - bare.count("]")
