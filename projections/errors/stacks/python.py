"""Python: chained and grouped tracebacks, notes and carets, a list of frames alone."""

from typing import Final

from projections.errors.stacks.frame import Draft, Frame, Link, Relation, Stack, number
from projections.errors.stacks.ownership import owns_file

_CAUSE: Final = "The above exception was the direct cause of"
_CONTEXT: Final = "During handling of the above exception"
_HEADS: Final = ("Traceback (most recent call last)", "Exception Group Traceback (most recent")


def parse(lines: list[str]) -> Stack | None:
    """The trace of these lines; None if they hold no frame of Python."""
    reader = _Reader()
    for line in lines:
        reader.read(line)
    return Stack("python", reader.links()) if reader.seen else None


class _Reader:
    """Goes through the lines; errors stand in the order in which they were raised."""

    def __init__(self) -> None:
        self.chains: list[list[Draft]] = [[]]  # of the whole, then one for each member of a group
        self.draft: Draft | None = None
        self.next: Relation = "thrown"  # how the draft before belongs to the one that comes
        self.seen = False

    def read(self, line: str) -> None:
        line = _without_margin(line)
        text = line.strip()
        if text.startswith(_HEADS):
            self._begin()
        elif text.startswith('File "') and ", line " in text:
            self._frame(text)
        elif text.startswith(_CAUSE):
            self.next = "cause"
            self.draft = None
        elif text.startswith(_CONTEXT):
            self.next = "context"
            self.draft = None
        elif text.startswith("+-") and text.rstrip("-").rstrip(" 0123456789.").endswith("-"):
            self.chains.append([])
            self.draft = None
        elif self.draft is not None:
            self._text(line)

    def _begin(self) -> None:
        chain = self.chains[-1]
        if chain and self.draft is None and self.next != "thrown":
            chain[-1].relation = self.next
        self.draft = Draft()
        self.next = "thrown"
        chain.append(self.draft)

    def _frame(self, text: str) -> None:
        if self.draft is None or (self.draft.head and self.draft.frames):
            self._begin()
        path, _, rest = text[6:].partition('", line ')
        line, _, function = rest.partition(", in ")
        assert self.draft is not None
        self.draft.frames.append(
            Frame(function.strip() or "?", path, number(line.strip(", ")), owns_file(path))
        )
        self.seen = True

    def _text(self, line: str) -> None:
        """Source and carets are indented, the error is not; its further lines may be anything."""
        draft = self.draft
        assert draft is not None
        if line.lstrip().startswith("+--"):
            return  # the end of a group
        if draft.head or (line and not line[0].isspace()):
            draft.head.append(line.rstrip())

    def links(self) -> tuple[Link, ...]:
        """The error that got out, what it came from, and the members of its group."""
        found: list[Link] = []
        for at, chain in enumerate(self.chains):
            for draft in reversed(chain):
                if draft.frames or draft.head:
                    if at and draft is chain[-1]:
                        draft.relation = "member"
                    found.append(_typed(draft))
        return tuple(found)


def _typed(draft: Draft) -> Link:
    draft.frames.reverse()
    head = "\n".join(draft.head).strip()
    first, colon, rest = head.partition(":")
    if first and " " not in first and "\n" not in first and first.isprintable():
        draft.type, draft.head = first.strip(), [rest.strip() if colon else ""]
    return draft.link()


def _without_margin(line: str) -> str:
    """A line of a group's member without the bars before it."""
    bare = line.lstrip(" ")
    if bare.startswith(("| ", "+ ")):
        return bare[2:]
    return "" if bare == "|" else line
