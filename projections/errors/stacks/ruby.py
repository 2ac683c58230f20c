"""Ruby: the innermost frame first with the error, or last, as older releases print it."""

from projections.errors.stacks.frame import Draft, Frame, Stack, number
from projections.errors.stacks.ownership import owns_file


def parse(lines: list[str]) -> Stack | None:
    """The trace of these lines; None if they hold no frame of Ruby."""
    drafts = [Draft()]
    for line in lines:
        text = line.strip()
        index, mark, rest = text.partition(": from ")
        if mark and index.isdigit():
            text = rest
        text = text.removeprefix("from ")
        frame, message = _frame(text)
        if frame is None:
            if not drafts[-1].frames and not text.startswith("Traceback (most"):
                drafts[-1].head.append(text)
            continue
        if message and drafts[-1].frames and drafts[-1].type is not None:
            drafts.append(Draft("cause"))
        if message:
            _take(drafts[-1], message)
        drafts[-1].frames.append(frame)
    if not any(draft.frames for draft in drafts):
        return None
    if any(line.startswith("Traceback (most recent call last)") for line in lines):
        drafts[0].frames.reverse()
    return Stack("ruby", tuple(draft.link() for draft in drafts))


def _take(draft: Draft, message: str) -> None:
    """`message (Type)`; the rest of a long message follows the parenthesis."""
    draft.type = ""
    if message.endswith(")") and " (" in message:
        message, _, kind = message[:-1].rpartition(" (")
        draft.type = kind
    draft.head = [message]


def _frame(text: str) -> tuple[Frame | None, str]:
    """The frame of `file.rb:1:in 'function': message`, and that message."""
    place, mark, rest = text.partition(":in ")
    if not mark:
        place, _, message = text.partition(": ")
        rest = f"'': {message}" if message else "''"
    file, colon, line = place.rpartition(":")
    if not colon or not line.isdigit() or not (file.endswith((".rb", ".ru", ".rake")) or mark):
        return None, ""
    end = rest.find("'", 1)
    if end < 0 or rest[0] not in "`'":
        return None, ""
    function = rest[1:end].rpartition("#")[2]
    message = rest[end + 1 :].removeprefix(":").strip()
    return Frame(function, file, number(line), owns_file(file)), message
