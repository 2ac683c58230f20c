"""Reads a stack trace of whatever language it is; answers are kept, for errors repeat."""

from collections.abc import Callable
from typing import Final

from events.bounded import remembered
from projections.errors.stacks import dotnet, go, javascript, jvm, php, python, ruby, rust
from projections.errors.stacks.frame import (
    FRAME_LIMIT,
    LINE_LIMIT_CHARS,
    TEXT_LIMIT_CHARS,
    Stack,
)

KEPT_BYTES: Final = 16 << 20
_ANSI: Final = "\x1b["
_Parser = Callable[[list[str]], Stack | None]


@remembered(KEPT_BYTES)
def read_stack(text: str) -> Stack | None:
    """The errors and frames of a trace; None if it is of no known language.

    Takes time in proportion to the text, of which at most 2 MiB and 20,000 lines count.
    """
    lines = [line[:LINE_LIMIT_CHARS] for line in clean(text[:TEXT_LIMIT_CHARS]).split("\n")]
    lines = lines[:FRAME_LIMIT]
    for parser in _candidates(lines):
        found = parser(lines)
        if found is not None:
            return found
    return None


def clean(text: str) -> str:
    """A text with Unix line ends and without colours."""
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if _ANSI not in text else _without_colours(text)


def _without_colours(text: str) -> str:
    first, *rest = text.split(_ANSI)
    pieces = [first]
    for piece in rest:
        at = 0
        while at < len(piece) and at < 20 and piece[at] in "0123456789;?":
            at += 1
        pieces.append(piece[at + 1 :])
    return "".join(pieces)


def _candidates(lines: list[str]) -> list[_Parser]:
    """Parsers to be tried, by the marks of their language."""
    found: list[_Parser] = []
    for line in lines:
        text = line.strip().lstrip("|+ ")
        if text.startswith("at "):
            found.append(_of_at(text))
            break
        if text.startswith('File "') and ", line " in text:
            return [python.parse]
        if text.startswith("#") and text[1:2].isdigit() and "(" in text:
            return [php.parse]
        if "panicked at " in text or text.lower().startswith("stack backtrace:"):
            return [rust.parse]
        if ".go:" in text or (text.startswith("goroutine ") and text.endswith(":")):
            return [go.parse]
        if ":in `" in text or ":in '" in text or ".rb:" in text:
            return [ruby.parse]
    return [*found, jvm.parse, javascript.parse, dotnet.parse] if found else []


def _of_at(text: str) -> _Parser:
    """Of three languages that begin a frame with the same word."""
    if ":line " in text or " [0x" in text:
        return dotnet.parse
    end = text.rstrip(")").rstrip(" {")
    parts = end.rsplit(":", 2)
    if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit():
        return javascript.parse
    if end.endswith(("(Native Method", "(Unknown Source", "(<unknown>", "(<generated>")):
        return jvm.parse
    inside = end.rpartition("(")[2].partition(":")[0]
    if inside.endswith((".java", ".kt", ".scala", ".groovy", ".clj")):
        return jvm.parse
    if "(" in text and text.endswith(")") and " (" not in text:
        return dotnet.parse
    return javascript.parse
