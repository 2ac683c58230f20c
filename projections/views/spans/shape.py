"""How large blocks and filters are, and how they are numbered."""

from typing import Final, NamedTuple

_PARTITION_BITS: Final = 40


class Shape(NamedTuple):
    """`events` positions make a block, `blocks` blocks share a filter, at most 64."""

    events: int = 1024
    blocks: int = 64


SHAPE: Final = Shape()


def content_no(partition: int, block_no: int) -> int:
    """The key of a block's content."""
    return partition << _PARTITION_BITS | block_no
