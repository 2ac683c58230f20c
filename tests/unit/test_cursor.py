"""Cursors: opaque, bound to one list of one tenant, harmless whatever they hold."""

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.query import cursor
from projections.query.refusals import BadQuestion

BOUND = cursor.binding("default", "attempts", [("status", "failed")])
KEYS = st.tuples(st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-(1 << 63), (1 << 63) - 1))


@given(KEYS)
def test_a_cursor_gives_its_key_back(key: tuple[int, int]) -> None:
    """What was written is what is read, for every key of 64-bit numbers."""
    assert cursor.read(BOUND, cursor.write(BOUND, key), 2) == key


@pytest.mark.parametrize(
    "other",
    [
        cursor.binding("acme", "attempts", [("status", "failed")]),
        cursor.binding("default", "runs", [("status", "failed")]),
        cursor.binding("default", "attempts", [("status", "completed")]),
        cursor.binding("default", "attempts", []),
    ],
)
def test_a_cursor_of_another_list_is_refused(other: bytes) -> None:
    """Tenant, endpoint and filters must be those that it was made for."""
    with pytest.raises(BadQuestion, match="another list"):
        cursor.read(BOUND, cursor.write(other, (1, 2)), 2)


@pytest.mark.parametrize(
    "text",
    ["", "!", "AAAA", "é", "a" * 5000, base64.urlsafe_b64encode(b"\xc1" * 12).decode()],
)
def test_other_text_is_no_cursor(text: str) -> None:
    """Whatever is no cursor is refused as such."""
    with pytest.raises(BadQuestion, match="no cursor"):
        cursor.read(BOUND, text, 2)


@pytest.mark.parametrize(
    "key", [(1,), (1, 2, 3), ((1 << 64) - 1, 2), ("1", 2), (1, None), (1.5, 2)]
)
def test_a_key_of_another_shape_is_refused(key: tuple[object, ...]) -> None:
    """A forged key with too few, too many or odd parts never reaches SQL."""
    forged = base64.urlsafe_b64encode(msgspec.msgpack.encode((BOUND, key))).decode()
    with pytest.raises(BadQuestion):
        cursor.read(BOUND, forged, 2)


@given(st.binary(max_size=200))
def test_random_bytes_never_break_the_reader(data: bytes) -> None:
    """Any bytes are either a cursor or a refusal."""
    with pytest.raises(BadQuestion):
        cursor.read(BOUND, base64.urlsafe_b64encode(data).decode(), 2)
