"""Stack traces as lines that can be read at a glance: which are the application's, which failed."""

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from events import names

LINES: Final = 400
"""Of a stack that is shown; of a longer one its beginning and end."""
_LIBRARY = re.compile(
    r"site-packages|dist-packages|node_modules|/lib/python\d|<frozen |/usr/lib/|\.cargo/registry|"
    r"/pkg/mod/|^\s*at (?:java|javax|jdk|sun|org\.springframework|kotlin|scala|node:|internal/)|"
    r"\(node:|at async |/usr/local/go/src/"
)
_PYTHON_FRAME = re.compile(r'^\s*File ".*", line \d+')
_OTHER_FRAME = re.compile(r"^\s*(?:at |#\d+ |goroutine |\S+\.go:\d+|\d+: )")


class StackLine(NamedTuple):
    """One line: `app` is the application's own, `failing` where it failed, `raised` the error."""

    text: str
    kind: str


def stack_lines(stack: str) -> Sequence[StackLine]:
    """The lines of a stack trace in any language; of what is not known all are plain."""
    texts = stack.rstrip().splitlines()
    if len(texts) > LINES:
        left_out = f"… {len(texts) - LINES} lines left out …"
        texts = [*texts[: LINES // 2], left_out, *texts[-LINES // 2 :]]
    kinds = [_kind(texts, number) for number in range(len(texts))]
    own = [number for number, kind in enumerate(kinds) if kind == "app"]
    if own:
        is_python = any(_PYTHON_FRAME.match(text) for text in texts)
        # Python tells the innermost call last, most others first.
        last = own[-1] if is_python else own[0]
        first = last
        while is_python and first > 0 and not _PYTHON_FRAME.match(texts[first]):
            first -= 1
        for number in range(first, last + 1):
            kinds[number] = "failing"
    return [StackLine(text, kind) for text, kind in zip(texts, kinds, strict=True)]


def _kind(texts: Sequence[str], number: int) -> str:
    text = texts[number]
    if _is_frame(text):
        return "library" if _LIBRARY.search(text) else "app"
    if number and text.startswith(("    ", "\t")) and _PYTHON_FRAME.match(_frame(texts, number)):
        return "library" if _LIBRARY.search(_frame(texts, number)) else "app"
    if re.match(r"^[A-Za-z_][\w.$]*(?:Error|Exception|Warning|Exit|Interrupt)?(?::|$)", text):
        return "raised" if not text.startswith("Traceback") else ""
    return ""


def _frame(texts: Sequence[str], number: int) -> str:
    """The nearest frame above a line."""
    while number > 0 and not _is_frame(texts[number]):
        number -= 1
    return texts[number]


def _is_frame(text: str) -> bool:
    return bool(_PYTHON_FRAME.match(text) or _OTHER_FRAME.match(text))


def stack_of(span: Any) -> str | None:
    """The stack that a span or log record carries; of several the last exception's."""
    if span is None:
        return None
    for event in reversed(getattr(span, "events", [])):
        stack = event.attributes.get(names.EXCEPTION_STACKTRACE)
        if isinstance(stack, str) and stack:
            return stack
    stack = span.attributes.get(names.EXCEPTION_STACKTRACE)
    return stack if isinstance(stack, str) and stack else None
