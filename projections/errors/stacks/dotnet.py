""".NET and Mono: inner errors, aggregates, rethrows in asynchronous code."""

from typing import Final

from projections.errors.stacks.frame import Draft, Frame, Stack, number
from projections.errors.stacks.ownership import owns_class

_AGAIN: Final = "[ERROR] FATAL UNHANDLED EXCEPTION: "
"""Mono prints the whole a second time behind this."""


def parse(lines: list[str]) -> Stack | None:
    """The trace of these lines; None if they hold no frame of .NET."""
    drafts = [Draft()]
    opened = [drafts[0]]
    for line in lines:
        text = line.strip()
        if text.startswith(_AGAIN) and drafts[0].frames:
            break
        if text.startswith("at "):
            frame = _frame(text[3:])
            if frame:
                opened[-1].frames.append(frame)
        elif text.startswith("---> "):
            inner = Draft("cause", _head(text[5:].partition("<---")[0]))
            drafts.append(inner)
            opened.append(inner)
        elif text.startswith("--- End of inner"):
            if len(opened) > 1:
                opened.pop()
        elif text and not text.startswith("--- End of") and not opened[-1].frames:
            first, _, inner_text = text.partition(" ---> ")
            opened[-1].head.append(_head(first))
            if inner_text:
                inner = Draft("cause", _head(inner_text))
                drafts.append(inner)
                opened.append(inner)
    if not any(draft.frames for draft in drafts):
        return None
    return Stack("dotnet", tuple(draft.link() for draft in drafts))


def _head(text: str) -> str:
    text = text.strip()
    for mark in ("Unhandled exception. ", "Unhandled Exception:", "(Inner Exception #"):
        if text.startswith(mark):
            text = text.removeprefix(mark).strip()
            if mark.startswith("("):
                text = text.partition(") ")[2]
    return text.removeprefix(_AGAIN)


def _without_parameters(name: str) -> str:
    """A method's name without the types that generic ones were called with."""
    before, bracket, rest = name.partition("[")
    return before + rest.rpartition("]")[2] if bracket else name


def _frame(text: str) -> Frame | None:
    call, _, place = text.partition(" in ")
    name, parenthesis, _ = call.partition("(")
    if not parenthesis:
        return None
    file, _, line = place.rpartition(":line ")
    if not file:
        file, _, line = place.rpartition(":")  # Mono
    name = _without_parameters(name.strip())
    return Frame(name, "" if file.startswith("<") else file, number(line), owns_class(name))
