"""An error as a sender tells it, and as plain text holds it."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from projections.errors.stacks.frame import split_head
from projections.errors.stacks.reading import clean, read_stack

HEAD_LIMIT_CHARS: Final = 64_000
Value = str | int | float | bool | None


class Record(msgspec.Struct, frozen=True):
    """One failure. Whatever a sender did not say is empty; `attributes` are of any kind."""

    type: str = ""
    message: str = ""
    stacktrace: str = ""
    attributes: Mapping[str, Any] = {}


def of_text(text: str) -> Record:
    """The record of one error as a program prints it: a stack trace, or a message alone."""
    text = clean(text).strip("\n")
    stack = read_stack(text)
    if stack is not None:
        first = stack.links[0]
        return Record(first.type, first.message, text)
    kind, message = split_head(text.strip())
    return Record(kind, message if kind else text.strip())
