"""PHP: uncaught errors with what led to them (`Next`), and a list of frames alone."""

from projections.errors.stacks.frame import Draft, Frame, Link, Stack, number
from projections.errors.stacks.ownership import owns_file


def parse(lines: list[str]) -> Stack | None:
    """The trace of these lines; None if they hold no frame of PHP."""
    drafts = [Draft()]
    for line in lines:
        text = line.strip()
        if text.startswith("#"):
            frame = _frame(text)
            if frame:
                drafts[-1].frames.append(frame)
        elif text.startswith("Next "):
            drafts.append(Draft("thrown", text[5:]))
        elif drafts[-1].frames or text in ("Stack trace:", "") or text.startswith("thrown in "):
            continue
        else:
            drafts[-1].head.append(text if drafts[-1].head else _head(text))
    if not any(draft.frames for draft in drafts):
        return None
    return Stack("php", tuple(_links(drafts)))


def _links(drafts: list[Draft]) -> list[Link]:
    """The last is the one that got out; each begins with the place that its message ends with."""
    found: list[Link] = []
    for draft in reversed(drafts):
        text = "\n".join(draft.head)
        message, mark, place = text.rpartition(" in ")
        file, _, line = place.rpartition(":")
        if mark and line.isdigit() and "." in file:
            draft.head = [message]
            draft.frames.insert(0, Frame("", file, number(line), owns_file(file)))
        draft.relation = "cause" if found else "thrown"
        found.append(draft.link())
    return found


def _head(text: str) -> str:
    for mark in ("Uncaught ", "Unhandled "):
        before, found, rest = text.partition(mark)
        if found and (not before or before.rstrip().endswith("error:") or "Fatal" in before):
            return rest
    return text


def _frame(text: str) -> Frame | None:
    """`#0 /path/file.php(12): Class->method('argument', 1)`."""
    index, _, rest = text[1:].partition(" ")
    if not index.isdigit() or rest == "{main}":
        return None
    if rest.startswith("[internal function]: "):
        return Frame(_called(rest[21:]), "", None, False)
    place, mark, call = rest.partition("): ")
    file, _, line = place.rpartition("(")
    if not mark:
        file, _, line = rest.rstrip(")").rpartition("(")
    if not line.isdigit():
        return None
    return Frame(_called(call), file, number(line), owns_file(file))


def _called(call: str) -> str:
    if call.startswith("{closure"):
        return "{closure}"
    return call.partition("(")[0]
