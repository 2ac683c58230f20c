"""Go: panics with their goroutines, runtime errors, and stacks of `%+v`."""

from typing import Final

from projections.errors.stacks.frame import Draft, Frame, Stack, number
from projections.errors.stacks.ownership import owns_package

_PANICS: Final = ("panic: ", "fatal error: ", "http: panic serving ", "runtime: ")


def parse(lines: list[str]) -> Stack | None:
    """The trace of these lines; None if they hold no frame of Go.

    Of several goroutines the first is the one that panicked; the others only were there.
    """
    draft = Draft()
    before = ""
    goroutines = 0
    for line in lines:
        text = line.strip()
        if text.startswith("goroutine ") and text.endswith(":"):
            goroutines += 1
            if goroutines > 1 and draft.frames:
                break
        elif (place := _place(text)) and before:
            function = _function(before)
            if not before.startswith("created by "):
                draft.frames.append(Frame(function, *place, owns_package(function, place[0])))
            before = ""
        elif not draft.frames and not goroutines and text and not _is_function(text):
            draft.head.append(text)
            before = text
        else:
            before = text
    if not draft.frames:
        return None
    _after_panic(draft)
    _take_head(draft)
    return Stack("go", (draft.link(),))


def _after_panic(draft: Draft) -> None:
    """What lies above the panic is the machinery of panicking."""
    for at, frame in enumerate(draft.frames):
        if frame.function in ("panic", "runtime.gopanic"):
            draft.frames = draft.frames[at + 1 :] or draft.frames
            return


def _take_head(draft: Draft) -> None:
    head = draft.head
    draft.type = ""
    for at, line in enumerate(head):
        mark = next((mark for mark in _PANICS if line.startswith(mark)), None)
        if mark:
            text = line.removeprefix(mark).partition(" [recovered")[0]
            draft.type = "runtime.Error" if text.startswith("runtime error: ") else mark[:-2]
            signal = [more for more in head[at + 1 :] if more.startswith("[signal ")]
            draft.head = [text, *(more[1:].partition(" code=")[0] for more in signal[:1])]
            return


def _is_function(text: str) -> bool:
    """Whether a line above the frames names a function, as `%+v` prints it."""
    return " " not in text and "." in text and not text.endswith((".", ":"))


def _function(text: str) -> str:
    text = text.removeprefix("created by ").partition(" in goroutine")[0]
    if text.endswith(")"):  # the arguments; a method's receiver has parentheses, too
        text = text[: text.rfind("(")] or text
    return text


def _place(text: str) -> tuple[str, int | None] | None:
    """File and line of `/path/file.go:12 +0x1d`."""
    place = text.partition(" +0x")[0]
    file, colon, line = place.rpartition(":")
    if not colon or not line.isdigit() or not file.endswith((".go", ".s")) or " " in file:
        return None
    return file, number(line)
