"""No body costs more than its bytes are worth, counted in calls: times would depend on load."""

import sys
from typing import Any

import pytest

from events.errors import BadInput, TooLarge
from service.otlp.decode.limits import Limits
from tests.hostile import HONEST, SHAPES, Shape
from tests.native_modules import required

required("service.otlp.decode._native")
SIZE_BYTES = 200_000
_TINY_BYTES = 1_000
_SETTLED = 6_000
"""Calls that any body may cost: a few events are looked at, whatever they are."""
_PER_BYTE = {"honest spans": 0.4, "honest JSON": 0.97, "honest logs": 1.66}
"""Calls a byte: four times those of an honest body (0.24 of JSON, 0.41 of logs). An honest one of
spans has next to none, as it is decoded natively; four times its time is about so many."""


def calls_of(shape: Shape, size: int) -> int:
    """How many Python functions, and of C from Python, decoding a body of the shape calls."""
    body = shape.make(size)
    count = 0

    def counted(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        shape.decode(body, Limits())
    except (TooLarge, BadInput):
        pass
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("name", sorted(SHAPES | HONEST))
def test_work_is_bounded_by_bytes(name: str) -> None:
    """Whatever they are: unknown, repeated, nested, empty, bad."""
    shape = (SHAPES | HONEST)[name]
    assert calls_of(shape, SIZE_BYTES) <= _SETTLED + _PER_BYTE[shape.honest] * SIZE_BYTES


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_tiny_bodies_are_no_way_around(name: str) -> None:
    """Many of 1,000 bytes cost no more than few large ones: the first events are not free."""
    shape = SHAPES[name]
    if len(shape.make(_TINY_BYTES)) < 2 * _TINY_BYTES and "over the bound" not in name:
        assert calls_of(shape, _TINY_BYTES) <= _SETTLED // 2


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_work_grows_with_bytes_only(name: str) -> None:
    """Twice the bytes are no more than twice the work."""
    shape = SHAPES[name]
    once, twice = calls_of(shape, SIZE_BYTES), calls_of(shape, 2 * SIZE_BYTES)
    assert twice <= 2.2 * once + _SETTLED
