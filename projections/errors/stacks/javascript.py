"""JavaScript and TypeScript in V8: Node.js, Chrome, Deno; causes and aggregated errors."""

from typing import Final

from projections.errors.stacks.frame import Draft, Frame, Relation, Stack, number, split_head
from projections.errors.stacks.ownership import owns_file

_JOINTS: Final[tuple[tuple[str, Relation], ...]] = (
    ("[cause]: ", "cause"), ("Caused by: ", "cause"), ("[errors]: [", "member"),
)  # fmt: skip


def parse(lines: list[str]) -> Stack | None:
    """The trace of these lines; None if they hold no frame of V8."""
    drafts = [Draft()]
    members = False
    for line in lines:
        text = line.strip()
        joint = next(((mark, rel) for mark, rel in _JOINTS if text.startswith(mark)), None)
        if text.startswith("at ") and (frame := _frame(text[3:].removesuffix(" {"))):
            drafts[-1].frames.append(frame)
        elif joint:
            members = joint[1] == "member"
            drafts.append(Draft(joint[1], _head(text.removeprefix(joint[0]))))
        elif members and drafts[-1].frames and split_head(text)[0]:
            drafts.append(Draft("member", _head(text)))
        elif not drafts[-1].frames:
            drafts[-1].head.append(line.rstrip())
    if not any(draft.frames for draft in drafts):
        return None
    drafts[0].head = _thrown(drafts[0].head)
    links = (draft.link() for draft in drafts if draft.frames or draft.head)
    return Stack("javascript", tuple(links))


def _thrown(head: list[str]) -> list[str]:
    """The head without the source and the mark that Node.js prints above it."""
    for at, line in enumerate(head):
        if set(line.strip()) == {"^"}:
            head = head[at + 1 :]
            break
    head = [line for line in head if line.strip()]
    return [_head(head[0]), *head[1:]] if head else head


def _head(text: str) -> str:
    for mark in ("Uncaught (in promise) ", "Uncaught ", "Unhandled rejection ", "throw "):
        text = text.removeprefix(mark)
    return text.strip().removesuffix("{").rstrip()


def _frame(text: str) -> Frame | None:
    text = text.removeprefix("async ").removeprefix("new ")
    function, parenthesis, place = text.partition(" (")
    if not parenthesis:
        function, place = "", text
    elif function.startswith("eval"):
        place = place.rpartition("(")[2]  # eval at f (file:1:2), <anonymous>:1:1
        place = place.partition(")")[0]
    place = place.rstrip(")")
    file, line = _place(place)
    if not parenthesis and line is None and "/" not in place:
        return None
    file = file.removeprefix("file://").partition("?")[0]
    return Frame(function.partition(" [as ")[0], file, line, owns_file(file))


def _place(text: str) -> tuple[str, int | None]:
    """File and line of `file:line:column`."""
    rest, colon, column = text.rpartition(":")
    if colon and column.isdigit():
        file, colon, line = rest.rpartition(":")
        if colon and line.isdigit():
            return file, number(line)
        return rest, number(column)
    return text, None
