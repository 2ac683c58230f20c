"""Ids as tools show them, read back into bytes.

Jaeger cuts leading zeros, Zipkin shows 64 bits, Datadog shows them as a decimal number, others
write upper case, dashes as in a UUID, `0x` in front, the base64 of protobuf's JSON, or a whole
`traceparent`. A text that can be read in two ways has two readings; the caller tries them in
order.
"""

import base64
import binascii
import re
from typing import Final

from projections.query.refusals import BadQuestion

TRACE_BYTES: Final = 16
SPAN_BYTES: Final = 8
FINGERPRINT_BYTES: Final = 16
_LONGEST: Final = 128
_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]+(?:-[0-9a-fA-F]+)*)")
_TRACEPARENT = re.compile(
    r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}", re.IGNORECASE | re.ASCII
)
_DECIMAL = re.compile(r"[1-9][0-9]{0,19}", re.ASCII)


def trace_ids(text: str, name: str = "trace_id") -> tuple[bytes, ...]:
    """The trace ids that `text` may mean, the likeliest first; at least one.

    Args:
        name: of the parameter, for the message.

    Raises:
        BadQuestion: it can be none.
    """
    return _readings(text, name, TRACE_BYTES)


def span_ids(text: str, name: str = "span_id") -> tuple[bytes, ...]:
    """The span ids that `text` may mean; see `trace_ids`."""
    return _readings(text, name, SPAN_BYTES)


def run_ids(text: str) -> tuple[str, ...]:
    """The run ids that `text` may mean: itself, or the trace that a run is which names no run."""
    try:
        traces = trace_ids(text)
    except BadQuestion:
        return (text,)
    return tuple(dict.fromkeys((text, *(trace.hex() for trace in traces))))


def hex_text(text: str, size_bytes: int) -> str | None:
    """`text` as lower-case hex digits of this many bytes; None if it is no such id."""
    match = _HEX.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    digits = match[1].replace("-", "").lower() if match else ""
    digits = digits.lstrip("0").rjust(2 * size_bytes, "0")
    return digits if match and len(digits) == 2 * size_bytes else None


def _readings(text: str, name: str, size_bytes: int) -> tuple[bytes, ...]:
    shown = text.strip()
    parent = _TRACEPARENT.fullmatch(shown)
    if parent is not None:
        shown = parent[1 if size_bytes == TRACE_BYTES else 2]
    digits = hex_text(shown, size_bytes)
    found = [] if digits is None else [bytes.fromhex(digits)]
    if parent is None and _DECIMAL.fullmatch(shown) and int(shown) < 1 << 64:
        found.append(int(shown).to_bytes(size_bytes, "big"))
    if shown.endswith("="):
        found += _from_base64(shown, size_bytes)
    known = tuple(dict.fromkeys(id_ for id_ in found if any(id_)))
    if not known:
        what = "trace" if size_bytes == TRACE_BYTES else "span"
        detail = f"a {what} id has up to {2 * size_bytes} hex digits, not all zero"
        raise BadQuestion([(name, f"{detail}; this is {text[:64]!r}")])
    return known


def _from_base64(text: str, size_bytes: int) -> list[bytes]:
    try:
        found = base64.b64decode(text, altchars=b"-_" if set("-_") & set(text) else None,
                                 validate=True)  # fmt: skip
    except (binascii.Error, ValueError):
        return []
    return [found] if len(found) == size_bytes else []
