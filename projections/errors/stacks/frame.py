"""A stack trace as data: errors that caused each other, each with its frames."""

from typing import Final, Literal

import msgspec

TEXT_LIMIT_CHARS: Final = 2 << 20
LINE_LIMIT_CHARS: Final = 2_000
FRAME_LIMIT: Final = 20_000

Relation = Literal["thrown", "cause", "context", "suppressed", "member"]
"""How an error belongs to the one thrown: it caused it, was being handled when that one came, was
suppressed by it, or is a member of its group."""


class Frame(msgspec.Struct, frozen=True):
    """A call. `file` is as the trace says it, empty where it says none; `line` counts from 1."""

    function: str
    file: str
    line: int | None
    in_app: bool  # not of a library, nor of the language itself


class Link(msgspec.Struct, frozen=True):
    """One error of a chain; frames begin where it was raised."""

    type: str
    message: str
    frames: tuple[Frame, ...]
    relation: Relation = "thrown"


class Stack(msgspec.Struct, frozen=True):
    """A whole trace: first the error that got out, then what it came from."""

    language: str
    links: tuple[Link, ...]


class Draft:
    """A link while its lines are read."""

    def __init__(self, relation: Relation = "thrown", head: str = "") -> None:
        self.relation: Relation = relation
        self.head = [head] if head else []
        self.frames: list[Frame] = []
        self.type: str | None = None  # where the head does not hold it

    def link(self) -> Link:
        """What was read."""
        message = "\n".join(self.head).strip()
        if self.type is None:
            kind, message = split_head(message)
        else:
            kind = self.type
        return Link(kind, message, tuple(self.frames), self.relation)


def split_head(text: str) -> tuple[str, str]:
    """Type and message of `some.Type: message`; an empty type where no type stands before it."""
    first, colon, rest = text.partition(":")
    first = first.strip()
    name = first[:-1].partition(" [")[0] if first.endswith("]") else first  # `Error [ERR_X]: …`
    if not is_type(name):
        return "", text
    if not colon and not name.endswith(_TYPE_ENDS) and "." not in name:
        return "", text
    if colon and rest and not rest[0].isspace() and not rest.startswith(":"):
        return "", text
    return first, rest.strip()


_TYPE_ENDS: Final = (
    "Error", "Exception", "Failure", "Fault", "Interrupt", "Exit", "Warning", "Timeout",
    "Throwable", "Refused", "Violation", "Panic", "Expired", "Exceeded", "Denied", "Iteration",
    "Cancelled", "Unavailable",
)  # fmt: skip
_NO_TYPES: Final = frozenset(
    {"error", "fatal", "warning", "panic", "failed", "critical", "err", "note", "info", "message"}
)


def is_type(name: str) -> bool:
    """Whether a name may be that of an error's type."""
    if not name or len(name) > 200 or not (name[0].isalpha() or name[0] in "_\\"):
        return False
    bare = name.replace(".", "").replace("_", "").replace("$", "").replace("\\", "")
    if not bare.replace("::", "").replace("/", "").isalnum() or (
        name != "Error" and name.lower() in _NO_TYPES
    ):
        return False
    short = short_type(name)
    return name.endswith(_TYPE_ENDS) or (
        bool(short) and ("." in name or "::" in name) and short[0].isupper()
    )


def short_type(name: str) -> str:
    """The last part of a qualified name."""
    for mark in ("::", ".", "\\", "/", "$"):
        name = name.rpartition(mark)[2] or name
    return name


def number(text: str) -> int | None:
    """A line number, if it is one."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
