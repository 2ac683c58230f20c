"""Standard output and error, whatever encoding the terminal or the locale gives them.

Text for people never fails: a character that the encoding lacks becomes one that looks like it,
as wide as before, or a question mark. JSON and CSV are for programs and always UTF-8; JSON keeps
to ASCII where the stream is not UTF-8, so that it is right in either reading.
"""

import codecs
import io
import json
import os
import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, Final

from rich.cells import cell_len

from events.errors import BadInput

_HANDLER: Final = "spanledger.lookalike"
_LOOKS_LIKE: Final = {
    "-": "─━═┄┈╌╴╶╸╺‐‑‒–—―−",
    "|": "│┃║├┤┝┥▏▎▍▌▋▊▉",
    "`": "└╰┗╚",
    "'": "┘╯┛╝‘’‚",
    ".": "┌┐╭╮┏┓╔╗·…",
    "+": "┬┴┼╋✔✓",
    "#": "█▓▒",
    ":": "░",
    ">": "▶→»",
    "<": "◀←«",
    "^": "↑",
    "v": "↓",
    "~": "↻↷",
    "o": "○◌●◷⊘",
    "x": "✘✗×",
    "*": "•",
    "t": "†",
    '"': "“”„",
    "u": "µμ",
}
_LOOKALIKES: Final = {other: plain for plain, group in _LOOKS_LIKE.items() for other in group}


def prepare() -> None:
    """Make this process's output safe to write to; called once, before anything is written."""
    codecs.register_error(_HANDLER, _lookalike)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us: no file of ours may take its place
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_HANDLER)


def complain(message: str) -> None:
    """One line for people on standard error."""
    print(f"spanledger: {message}", file=sys.stderr)


def readable_arguments(given: Sequence[str]) -> list[str]:
    """The arguments of a command as text, also where the locale knows less than UTF-8.

    Raises:
        BadInput: one is no text at all.
    """
    texts = []
    for argument in given:
        try:
            texts.append(os.fsencode(argument).decode("utf-8") if _is_torn(argument) else argument)
        except UnicodeDecodeError as exc:
            shown = argument.encode("ascii", "replace").decode()
            raise BadInput(f"the argument {shown!r} is not UTF-8") from exc
    return texts


def _is_torn(text: str) -> bool:
    """Whether bytes of `text` could not be read as characters."""
    return any(0xDC80 <= ord(character) <= 0xDCFF for character in text)


def json_text(document: Any, *, indent: int | None = None) -> str:
    """The document as JSON that standard output can carry."""
    return json.dumps(document, ensure_ascii=not _is_utf8(sys.stdout), indent=indent)


def write_data(text: str) -> None:
    """Write JSON or CSV to standard output, as UTF-8."""
    buffer = getattr(sys.stdout, "buffer", None)
    if buffer is None or _is_utf8(sys.stdout):
        sys.stdout.write(text)
        return
    sys.stdout.flush()
    buffer.write(text.encode("utf-8", "replace"))


def _is_utf8(stream: Any) -> bool:
    encoding = getattr(stream, "encoding", None)  # None: a stream of texts, not of bytes
    return encoding is None or codecs.lookup(encoding).name == "utf-8"


def _lookalike(error: UnicodeError) -> tuple[str, int]:
    """How Python's codecs ask what to write in place of what they cannot."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start : error.end]
    return "".join(map(_plain_form, lost)), error.end


def _plain_form(character: str) -> str:
    cells = cell_len(character)
    if character in _LOOKALIKES:
        return _LOOKALIKES[character]
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    surrogate = 0xD800 <= ord(character) < 0xE000  # a byte of an argument that was no text
    return plain if plain and len(plain) == cells else "?" * (1 if surrogate else cells)
