"""Tables as files for spreadsheets and programs, written while they are sent.

A file holds all that its page's filters select. It is read and written a part at a time, in a
thread, so that it takes the memory of one part however long it gets, and no page waits for it. What
stops it on its way breaks the answer off, so that nobody takes half a file for a whole one.
"""

import csv as writer
import io
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from operator import attrgetter
from typing import Any, Final

import anyio
import msgspec
from litestar.response import Stream
from msgspec import inspect

from service.access.tokens import Forbidden
from service.web.visit import Table

FORMS: Final = ("csv", "json")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_KINDS: Final = {"csv": "text/csv; charset=utf-8", "json": "application/json"}


def file_of(
    table: Table, limiter: anyio.CapacityLimiter, is_allowed: Callable[[], Awaitable[bool]]
) -> Stream:
    """The records of a table as a file: CSV, or the JSON that the API gives of them.

    Args:
        limiter: of the threads that files are made in.
        is_allowed: whether the reader still may read on.
    """
    made = csv(table) if table.form == "csv" else json(table)
    return Stream(
        _sent(made, limiter, is_allowed), media_type=_KINDS[table.form],
        headers={
            "content-disposition": f'attachment; filename="{table.name}.{table.form}"',
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
        },
    )  # fmt: skip


async def _sent(
    made: Iterator[bytes],
    limiter: anyio.CapacityLimiter,
    is_allowed: Callable[[], Awaitable[bool]],
) -> AsyncIterator[bytes]:
    while True:
        part = await anyio.to_thread.run_sync(next, made, None, limiter=limiter)
        if part is None:
            return
        if not await is_allowed():
            raise Forbidden("the token was revoked while the file was sent")
        yield part


def json(table: Table) -> Iterator[bytes]:
    """A list of records, a line each."""
    before = b"[\n"
    for items in table.parts:
        if items:
            yield before + b",\n".join(msgspec.json.encode(item) for item in items)
            before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def csv(table: Table) -> Iterator[bytes]:
    """Records, a line each; the columns are those of their kind, fields of fields have dotted
    names.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    paths = list(_paths(inspect.type_info(table.kind), ()))
    yield _lines([[".".join(path) for path in paths]])
    values = [_value_of(path) for path in paths]
    for items in table.parts:
        if items:
            yield _lines([_cell(value(item)) for value in values] for item in items)


def _lines(rows: Any) -> bytes:
    text = io.StringIO()
    writer.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _paths(kind: inspect.Type, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The names that lead to each value of a record that is no record itself."""
    kind = _bare(kind)
    kinds: Sequence[inspect.Type] = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    records = [one for one in map(_bare, kinds) if isinstance(one, inspect.StructType)]
    if not records:
        yield path
    for record in records:
        for field in record.fields:
            yield from _paths(field.type, (*path, field.name))


def _bare(kind: inspect.Type) -> inspect.Type:
    return _bare(kind.type) if isinstance(kind, inspect.Metadata) else kind


def _value_of(path: tuple[str, ...]) -> Callable[[Any], Any]:
    """What reads the value at a path; None where a record on the way is missing."""
    getters = [attrgetter(name) for name in path]

    def value(item: Any) -> Any:
        for getter in getters:
            if item is None:
                return None
            item = getter(item)
        return item

    return value


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        value = " ".join(str(each) for each in value)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
