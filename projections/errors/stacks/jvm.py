"""Java, Kotlin and other languages of the JVM: causes, suppressed errors, `... n more`."""

from typing import Final

from projections.errors.stacks.frame import Draft, Frame, Link, Relation, Stack, number
from projections.errors.stacks.ownership import owns_class

_JOINTS: Final[tuple[tuple[str, Relation], ...]] = (
    ("Caused by: ", "cause"), ("Suppressed: ", "suppressed"), ("Wrapped by: ", "thrown"),
)  # fmt: skip


def parse(lines: list[str]) -> Stack | None:
    """The trace of these lines; None if they hold no frame of a JVM."""
    drafts = [Draft()]
    for line in lines:
        text = line.strip()
        if text.startswith("at "):
            frame = _frame(text[3:])
            if frame:
                drafts[-1].frames.append(frame)
        elif joint := next(((mark, rel) for mark, rel in _JOINTS if text.startswith(mark)), None):
            drafts.append(Draft(joint[1], _head(text.removeprefix(joint[0]))))
        elif text and not drafts[-1].frames:
            more = text.startswith("...") and text.endswith(("more", "omitted"))
            if not more:
                drafts[-1].head.append(_head(text) if not drafts[-1].head else text)
    if not any(draft.frames for draft in drafts):
        return None
    links: list[Link] = [draft.link() for draft in drafts]
    if any(link.relation == "thrown" for link in links[1:]):  # root cause first
        links.reverse()
    return Stack("java", tuple(links))


def _head(text: str) -> str:
    """`Type: message` without what is printed before it."""
    if text.startswith("Exception in thread "):
        _, quote, rest = text[21:].partition('" ')
        return rest if quote else text
    if text.startswith("[CIRCULAR REFERENCE:"):
        return text[20:].rstrip("]").strip()
    return text


def _without_module(name: str) -> str:
    """A method's name without loader and module; a lambda's number has a slash, too."""
    while "/" in (before := name.partition("$")[0]):
        name = name[before.index("/") + 1 :]
    return name


def _frame(text: str) -> Frame | None:
    name, parenthesis, rest = text.partition("(")
    if not parenthesis:
        return None
    name = _without_module(name.strip())
    file, _, line = rest.partition(")")[0].partition(":")
    return Frame(name, file, number(line), owns_class(name))
