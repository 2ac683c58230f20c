"""What few attempts say of themselves: which attribute says it, how it is read, what is shown.

A field that is only passed on, from a sender to an answer, is declared here and nowhere else.
`More` is stored with the facts of a run, by the letters of its fields: a new one has a default, so
that what was stored before can still be read.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

import msgspec

from events import names
from projections.runs import words
from projections.runs.values import (
    flag_of,
    is_true,
    money_of,
    text_of,
    texts_of,
    texts_or_count,
    whole_of,
)


class MoreAttributes(
    msgspec.Struct,
    gc=False,
    rename={
        "retry_of": names.TASK_RETRY_OF,
        "will_retry": names.TASK_WILL_RETRY,
        "backfilled": names.TASK_BACKFILLED,
        "parents": names.TASK_PARENTS,
        "causes": names.TASK_CAUSES,
        "files_written": names.TASK_IO_FILES_WRITTEN,
        "retrieval_count": names.TASK_RETRIEVAL_COUNT,
        "retrieval_sources": names.TASK_RETRIEVAL_SOURCES,
        "cost_usd": names.TASK_COST_USD,
    },
):
    """The attributes, as they came; senders may give any of them any type."""

    retry_of: Any = None
    will_retry: Any = None
    backfilled: Any = None
    parents: Any = None
    causes: Any = None
    files_written: Any = None
    retrieval_count: Any = None
    retrieval_sources: Any = None
    cost_usd: Any = None


class Mapped(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a mapping rule says of an attempt besides; a span that says its task itself has none.

    `flags` are those of `words` that say what was inferred. `later` is the status of an attempt
    that is not its run's last, where that depends on it; `later_retry` says whether it is tried
    again then, and `later_error_no` which error it is. `only_ends`: where an attempt of its
    trace runs, it tells of that one's end.
    """

    flags: int = 0
    later: int | None = None
    later_retry: bool | None = None
    later_error_no: int | None = None
    only_ends: bool = False


class More(
    msgspec.Struct,
    frozen=True,
    omit_defaults=True,
    gc=False,
    rename={
        "retry_of": "r",
        "will_retry": "w",
        "backfilled": "b",
        "mapped": "m",
        "parents": "p",
        "causes": "c",
        "files_written": "f",
        "retrieval_count": "n",
        "retrieval_sources": "s",
    },
):
    """What they mean."""

    retry_of: str | None = None
    will_retry: bool | None = None
    backfilled: bool = False
    mapped: Mapped | None = None
    parents: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    files_written: tuple[str, ...] | int | None = None
    retrieval_count: int | None = None
    retrieval_sources: tuple[str, ...] | int | None = None
    cost_usd: float | None = None

    @property
    def flags(self) -> int:
        """What it adds to the flags of an attempt."""
        own = words.FLAG_BACKFILLED if self.backfilled else 0
        return own if self.mapped is None else own | self.mapped.flags


_READ: Final[dict[str, Callable[[Any], Any]]] = {
    "retry_of": text_of,
    "will_retry": flag_of,
    "backfilled": is_true,
    "parents": texts_of,
    "causes": texts_of,
    "files_written": texts_or_count,
    "retrieval_count": whole_of,
    "retrieval_sources": texts_or_count,
    "cost_usd": money_of,
}


class Extra(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt's answer shows of it; column `extra` holds it by the places of the fields."""

    parents: list[str] = []
    causes: list[str] = []
    files_written: int | None = None
    retrieval_count: int | None = None
    retrieval_sources: list[str] = []
    cost_usd: float | None = None


_NOTHING: Final = More()
_MAPPED: Final = More.__struct_fields__.index("mapped")
_READERS: Final = tuple((read, getattr(_NOTHING, name)) for name, read in _READ.items())
_NAMES: Final = Extra.__struct_fields__
_values_of = attrgetter(*_READ)
_shown_of = attrgetter(*_NAMES)
_ABSENT: Final[tuple[Any, ...]] = (None, ())
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[int, Any]).decode


def more_of(said: MoreAttributes) -> More | None:
    """What is said; None if nothing is."""
    if (
        said.retry_of is None
        and said.will_retry is None
        and said.backfilled is None
        and said.parents is None
        and said.causes is None
        and said.files_written is None
        and said.retrieval_count is None
        and said.retrieval_sources is None
        and said.cost_usd is None
    ):  # most attempts; spelt out, because a loop costs 1 µs an attempt
        return None
    given = zip(_READERS, _values_of(said), strict=True)
    values = [absent if value is None else read(value) for (read, absent), value in given]
    values.insert(_MAPPED, None)
    more = More(*values)  # by place: by name it takes twice the time
    return more if more != _NOTHING else None


def extra_of(more: More) -> bytes:
    """What an answer shows of it, as it is stored; empty if nothing."""
    shown = {place: value for place, value in enumerate(_shown_of(more)) if value not in _ABSENT}
    return _encode(shown) if shown else b""


def shown_of(extra: bytes) -> dict[str, Any]:
    """The fields of an answer that are stored, by name."""
    return {_NAMES[place]: value for place, value in _decode(extra).items()} if extra else {}
