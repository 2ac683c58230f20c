"""A message without what varies: ids, numbers, paths, addresses, times, quoted values.

    connection to "db-3" (10.0.0.7:5432) failed after 31.5 s
    connection to <text> (<address>) failed after <duration>

A quotation of three words or more is a sentence, not a value: its words stay, normalised. To
normalise again changes nothing. Takes time linear in the message, of which 4,000 characters count.
"""

import re
from itertools import pairwise
from typing import Final

from events.bounded import BoundedDict, text_bytes
from projections.errors.normal.scan import Scan

MESSAGE_LIMIT_CHARS: Final = 4_000
NORMAL_LIMIT_CHARS: Final = 1_000
_ROUNDS: Final = 4
_UNITS: Final = (
    r"(?:ns|us|µs|ms|msecs?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|"
    r"milliseconds?|microseconds?|nanoseconds?)"
)
_CODE: Final = (
    r"(?:ORA|TNS|DPI|DPY|PLS|SQL|TS|CS|MSB|NU|NETSDK|MSG|DB|FT|E|KB|SIG|SSL|TLS|IM|HY)-?\d{2,6}"
)
_QUOTED: Final = (
    r'"(?:[^"\\\n]|\\.)*"', r"\B'(?:[^'\\\n]|\\.|'\b)*'\B", r"`[^`\n]*`", r"“[^”\n]*”",
    r"‘[^’\n]*’",
    r"«[^»\n]*»", r"\B`[^`'\n]*'\B",
)  # fmt: skip
_SCAN: Final = Scan(
    r"<[a-z]+>",
    r"(?i:\b[a-z][a-z0-9+.-]*://[^\s'\"<>`)\],]+)",
    *_QUOTED,
    r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+",
    r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b",
    r"\b\d{4}[-/]\d\d[-/]\d\d"
    r"(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?)?",
    r"\b(?:\d+ days?, )?\d{1,3}:\d\d:\d\d(?:[.,]\d+)?\b",
    r"\b(?:[0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}\b",
    r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+|/\d+)?\b",
    r"(?:\[|\b)(?:[0-9a-fA-F]{1,4}:){1,6}(?::[0-9a-fA-F]{1,4}){1,6}\b(?:\]:\d+)?",
    r"\[?::(?:[0-9a-fA-F]{1,4}:){0,6}[0-9a-fA-F]{1,4}\b(?:\]:\d+)?",
    r"(?:\[|\b)(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}\b(?:\]:\d+)?",
    r"\b[A-Za-z]:[\\/][^\s'\"<>|:,;)]*(?::\d+){0,2}",
    r"\B~?/[\w.@%+~=-]+(?:/[\w.@%+~=-]*)*(?::\d+){0,2}",
    r"(?:\B\.{1,2}/|\b)[\w.@-]+(?:/[\w.@-]+)*/[\w.@-]*\.[A-Za-z]\w{0,5}\b(?::\d+){0,2}",
    r"\b(?:[a-z0-9]+-)+[a-f0-9]{8,10}-[a-z0-9]{5}\b",
    r"@[0-9a-f]{5,16}\b",
    r"\b0[xX][0-9a-fA-F]+\b",
    r"\b[\w.-]+=[^\s,;&()\[\]{}'\"<>=]+",
    rf"\b{_CODE}\b",
    r"(?:\B[-+])?\b(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|h|m|s))+\b",
    rf"(?:\B[-+])?\b(?:\d+(?:[.,]\d+)? ?{_UNITS}\b ?)+",
    r"(?:\B[-+])?\d+(?:[.,]\d+)? ?(?:[KMGTPkm]i?[Bb](?:ytes|its)?|[Bb]ytes?|B)\b",
    r"\b(?:[A-Za-z]+[_-])*(?:[A-Za-z]+\d|\d+[A-Za-z]|\d+[_-][A-Za-z0-9])[A-Za-z0-9]*"
    r"(?:[_-][A-Za-z0-9]+)*\b",
    r"(?:\B[-+])?\d+(?:[.,:_]\d+\b)*(?:[eE][-+]?\d+)?%?",
    r"\b[0-9a-fA-F]{16,}\b",
)
_DURATION: Final = Scan(
    r"^[-+]?(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|h|m|s))+$",
    rf"^[-+]?(?:\d+(?:[.,]\d+)? ?{_UNITS}\b ?)+$",
)
_CODES: Final = Scan(f"^{_CODE}$")
_KEPT_KEYS: Final = frozenset(
    b"code status reason error errno type state kind severity level method op operation "
    b"sqlstate exit_code".split()
)
_HEX: Final = b"0123456789abcdefABCDEF"
_SIZES: Final = bytes(sorted(set(b"KMGTPkmiBytes ")))
_NO_DIGITS: Final = str.maketrans("", "", "0123456789")
_DIGITS: Final = bytes.maketrans(b"0123456789", b"1" * 10)
_HASHES: Final = re.compile(
    rb"(?<![\w.+@=:'-])(?:[1a-f]{8}-(?:[1a-f]{4}-){3}[1a-f]{12}"
    rb"|(?=[a-f]*1)(?=1*[a-f]+1|[1de]*[abcf])[1a-f]{8,})(?![\w.+@=:'-])"
)
_NUMBERS: Final = re.compile(rb"(?<![\w.+@=:'/-])1+(?![\w.+@=:'/-])")
_kept: BoundedDict[bytes, str] = BoundedDict(16 << 20)
_settled: BoundedDict[bytes, bool] = BoundedDict(4 << 20)
_pieces: BoundedDict[bytes, bytes] = BoundedDict(4 << 20)


def normal_message(message: str) -> str:
    """The message with placeholders in place of values; at most 1,000 characters.

    Those of messages met lately are kept, for all that differ in nothing but digits and hashes.
    """
    shape = _shape(message)
    found = _kept.get(shape)
    if found is None:
        found = _normal(message[:MESSAGE_LIMIT_CHARS])
        if found.translate(_NO_DIGITS) == found:  # else what is kept in it is a code
            _kept.keep(shape, found, text_bytes(shape, found))
    return found


def _shape(message: str) -> bytes:
    """What decides the template: the message with equal digits, hashes and numbers of their own.

    But for `0x`: there the zero counts.
    """
    data = message[:MESSAGE_LIMIT_CHARS].encode("utf-8", "replace")
    if b"0x" in data or b"0X" in data:
        return data
    return _NUMBERS.sub(b"1", _HASHES.sub(b"\x01", data.translate(_DIGITS)))


def _normal(text: str) -> str:
    data = " ".join(text.split()).encode("utf-8", "replace")
    for _ in range(_ROUNDS):
        if data in _settled:
            break
        changed = _once(data)
        if changed == data:
            _settled.keep(data, True, len(data))
            break
        data = changed
    normal = " ".join(data.decode("utf-8", "replace").split())
    if len(normal) > NORMAL_LIMIT_CHARS:  # at a word's end, that no half placeholder is left
        normal = normal[:NORMAL_LIMIT_CHARS].rpartition(" ")[0]
    return normal


def _once(data: bytes) -> bytes:
    pieces: list[bytes] = []
    end = 0
    for start, stop in _SCAN.spans(data):
        pieces += (data[end:start], _replaced(data[start:stop]))
        end = stop
    if not end:
        return data
    pieces.append(data[end:])
    joined = b"".join(pieces)
    for kind in (b"<number>", b"<text>"):
        if joined.count(kind) > 1:
            joined = _folded(joined, kind)
    return joined


def _folded(data: bytes, kind: bytes) -> bytes:
    """A list of values is one value, for its length varies, too."""
    for mark in (b", ", b",", b" "):
        parts = data.split(mark.join((kind, kind)))
        while len(parts) > 1:
            data = kind.join(parts)
            parts = data.split(mark.join((kind, kind)))
    return data


def _replaced(piece: bytes) -> bytes:
    found = _pieces.get(piece)
    if found is None:
        found = _placeholder(piece)
        _pieces.keep(piece, found, 2 * len(piece) + 66)
    return found


def _placeholder(piece: bytes) -> bytes:
    """What stands for a value; the piece itself where it is a word."""
    first = piece[:1]
    if first == b"<":
        return piece
    if first in b"\"'`" or piece[:2] in (b"\xe2\x80", b"\xc2\xab"):
        return _quotation(piece)
    if b"=" in piece and first not in b"/~." and b"://" not in piece:
        return _setting(piece)
    return _kind(piece) or _figure(piece)


def _kind(piece: bytes) -> bytes:
    """What is told from its punctuation; nothing where that says nothing."""
    if b"://" in piece:
        return b"<url>"
    if piece[:1] == b"@":
        return b"@<hex>"
    if b"@" in piece and b"/" not in piece:
        return b"<email>"
    slashes = b"/" in piece and not piece[:4].isdigit() and not _is_address(piece)
    return b"<path>" if slashes or b"\\" in piece else b""


def _quotation(piece: bytes) -> bytes:
    inner = piece.strip(b"\"'`").strip()
    try:
        inner = piece.decode().strip("\"'`“”‘’«»").strip().encode()
    except UnicodeDecodeError:
        return b"<text>"
    return inner if inner.count(b" ") >= 2 else b"<text>"


def _setting(piece: bytes) -> bytes:
    key, _, value = piece.partition(b"=")
    if key.lower().rpartition(b".")[2] in _KEPT_KEYS:
        return key + b"=" + (b"<number>" if value.isdigit() else value)
    return key + b"=<value>"


def _is_address(piece: bytes) -> bool:
    return piece.replace(b".", b"").replace(b"/", b"").replace(b":", b"").isdigit()


def _figure(piece: bytes) -> bytes:
    """What stands for something of digits and letters."""
    if piece.count(b":") >= 2 or piece.startswith(b"[") or b"::" in piece:
        return b"<duration>" if _is_clock(piece) else b"<address>"
    bare = piece.lstrip(b"+-")
    if piece.count(b".") == 3 and _is_address(piece):
        return b"<address>"
    if len(piece) >= 8 and piece[4:5] in (b"-", b"/") and piece[:4].isdigit():
        return b"<time>"
    if not bare.isalnum() or not bare.isalpha():
        return _mixed(piece, bare)
    return b"<id>" if len(piece) >= 16 and len(set(piece)) > 5 else piece


def _is_clock(piece: bytes) -> bool:
    return not any(c in b"abcdefABCDEF[]" for c in piece.replace(b"days", b"").replace(b"day", b""))


def _mixed(piece: bytes, bare: bytes) -> bytes:
    if bare.replace(b".", b"").replace(b",", b"").replace(b"_", b"").rstrip(b"%").isdigit():
        return b"<number>"
    if bare[:2].lower() == b"0x":
        return b"<hex>"
    if any(True for _ in _DURATION.spans(piece)):
        return b"<duration> " if piece.endswith(b" ") else b"<duration>"
    if any(True for _ in _CODES.spans(piece)):
        return piece
    if bare[:1].isdigit() and bare.rstrip(_SIZES).replace(b".", b"").isdigit():
        return b"<size>"
    return _name(piece)


def _name(piece: bytes) -> bytes:
    """Of a name with digits: an id, a pod, or a word with its numbers replaced."""
    parts = piece.split(b"-")
    if [*map(len, parts)] == [8, 4, 4, 4, 12]:
        return b"<id>"
    if len(parts) > 2 and len(parts[-1]) == 5 and 8 <= len(parts[-2]) <= 10:
        return b"-".join(parts[:-2]) + b"-<pod>"
    digits = sum(48 <= c <= 57 for c in piece)
    if len(piece) >= 7 and not piece.strip(_HEX):
        return b"<id>"
    if len(piece) >= 8 and digits >= 3 and digits * 5 >= len(piece) and not piece[:3].isupper():
        return b"<id>"
    if len(piece) >= 8 and digits >= 2 and piece.isalnum() and _is_random(piece):
        return b"<id>"
    return _without_digits(piece)


def _is_random(piece: bytes) -> bool:
    """Whether letters and digits change places often, as in no name that a person gives."""
    kinds = [48 <= c <= 57 for c in piece]
    return sum(a != b for a, b in pairwise(kinds)) >= 4


def _without_digits(piece: bytes) -> bytes:
    made = bytearray()
    within = False
    for c in piece:
        digit = 48 <= c <= 57
        if digit and not within:
            made += b"<number>"
        elif not digit:
            made.append(c)
        within = digit
    return bytes(made)
