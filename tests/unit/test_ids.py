"""Ids are read in every spelling that tools show them in."""

import base64
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.query import ids
from projections.query.refusals import BadQuestion

LONG = bytes.fromhex("5b8efff798038103d269b633813fc60c")
SHORT = bytes(8) + bytes.fromhex("00d269b633813fc6")
SPAN = bytes.fromhex("00f067aa0ba902b7")


def trace_spellings(id_: bytes) -> list[str]:
    """How tools show a trace id."""
    digits = id_.hex()
    shown = [
        digits, digits.upper(), f" {digits}\n", f"0x{digits}", f"0X{digits.upper()}",
        digits.lstrip("0"), digits.lstrip("0").upper(),
        str(uuid.UUID(digits)), str(uuid.UUID(digits)).upper(),
        base64.b64encode(id_).decode(), base64.urlsafe_b64encode(id_).decode(),
        f"00-{digits}-{SPAN.hex()}-01",
    ]  # fmt: skip
    if not any(id_[:8]):
        shown += [digits[16:], digits[16:].upper(), str(int(digits, 16))]
    return shown


@pytest.mark.parametrize("text", trace_spellings(LONG))
def test_a_trace_id_is_read_in_each_spelling(text: str) -> None:
    """Case, dashes, a prefix and base64 don't matter."""
    assert ids.trace_ids(text)[0] == LONG


@pytest.mark.parametrize("text", trace_spellings(SHORT))
def test_a_trace_id_of_64_bits_is_read_in_each_spelling(text: str) -> None:
    """Its leading zeros may be left out; a decimal number is one of two readings."""
    assert SHORT in ids.trace_ids(text)


@given(st.binary(min_size=16, max_size=16).filter(any))
def test_each_spelling_of_any_trace_id_has_its_reading(id_: bytes) -> None:
    """There is no id that a spelling hides."""
    for text in trace_spellings(id_):
        assert id_ in ids.trace_ids(text)


@pytest.mark.parametrize(
    "text",
    [SPAN.hex(), SPAN.hex().upper(), "f067aa0ba902b7", str(int.from_bytes(SPAN)),
     base64.b64encode(SPAN).decode(), f"00-{LONG.hex()}-{SPAN.hex()}-01"],
)  # fmt: skip
def test_a_span_id_is_read_in_each_spelling(text: str) -> None:
    """As trace ids are."""
    assert SPAN in ids.span_ids(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "-", "0", "0" * 32, "xyz", "0x", "5b8e--ff", "a" * 33, "-ab", "ab-", "٣" * 32,
     "99999999999999999999x", "0" * 126 + "abzz", "0" * 200 + "ab",
     "AAAAAAAAAAAAAAAAAAAAAA==", "ab cd"],
)  # fmt: skip
def test_what_is_no_id_is_refused(text: str) -> None:
    """All zeros are no id, and neither is too much."""
    with pytest.raises(BadQuestion, match="up to 32 hex digits"):
        ids.trace_ids(text)


@pytest.mark.parametrize("text", ["0A" * 16, "a" + "0a" * 15, str(uuid.UUID("0a" * 16)).upper()])
def test_a_fingerprint_is_read_in_each_spelling(text: str) -> None:
    """As 32 lower-case digits."""
    assert ids.hex_text(text, 16) == "0a" * 16
