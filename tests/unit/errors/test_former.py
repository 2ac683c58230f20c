"""Names that older releases gave to errors are made as they made them."""

import pytest

from projections.errors.fingerprints.former import former_fingerprint

PYTHON = """Traceback (most recent call last):
  File "/srv/app/shop/orders.py", line 10, in place
    pay(order)
ValueError: order 17"""
JAVA = """java.lang.IllegalStateException: order 17
\tat shop.Orders.place(Orders.java:10)"""


@pytest.mark.parametrize(
    ("said", "digest"),
    [
        (("ValueError", "order 17", PYTHON), "4a632a31c0f6bbba12ae4d51581af218"),
        (("E", "order 17 of 'x' failed", ""), "03cc74313057ef267f070277de23838f"),
        (("IllegalStateException", "order 17", JAVA), "115cec8c52d3ca57a5f859cae2a90341"),
        ((None, "failed", "no frames 17"), "56d69452ad43a4c7e6561193c9ed2ab9"),
    ],
)
def test_a_former_fingerprint_is_what_it_was(
    said: tuple[str | None, str, str], digest: str
) -> None:
    """The digests are those that release 1 stored for these errors."""
    assert former_fingerprint(*said) == digest
