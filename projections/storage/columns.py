"""A table's columns by name: declared once, as the fields of a row.

From that one declaration come the INSERT and a function that makes a row as it is bound. The
function is written out and compiled at import, as `dataclasses` does it: a row of twenty columns
costs what a tuple costs, while keywords for all of them would cost 2 µs.

Binding is made fast, too. The sqlite3 module asks its adapters about every parameter that is not
exactly an int, float, str or bytearray. That costs 0.2 µs each: None, bool and bytes more than
double the price of a wide row. So rows are bound without them: absent integers as `ABSENT`, absent
texts as empty ones, blobs as bytearray, and the statement turns what stands for absent into NULL.
"""

from collections.abc import Callable, Collection, Sequence
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeVar, get_type_hints

ABSENT: Final = -(1 << 63)
"""Stands for NULL in an integer column; no time, number or difference of times has this value."""

Bound = tuple[Any, ...]
"""A row as it is bound, in the order of its columns."""

Record = type[Any] | tuple[str, ...] | None
"""What a row or a record is made from: a class, by its annotations; a sequence that has just these
items, of these names; or nothing."""

_Made = TypeVar("_Made")


class _Kind(NamedTuple):
    """What a column holds: how it is declared in SQL, its parameter, and a value as it is bound."""

    sql: str
    mark: str
    bound: str


_KINDS: Final[dict[Any, _Kind]] = {
    int: _Kind("INTEGER NOT NULL", "?", "{0}"),
    bool: _Kind("INTEGER NOT NULL", "?", "1 if {0} else 0"),
    str: _Kind("TEXT NOT NULL", "?", "{0}"),
    bytes: _Kind("BLOB NOT NULL", "?", "bytearray({0})"),
    int | None: _Kind(
        "INTEGER", f"nullif(?, {ABSENT})", f"{ABSENT} if (_v := {{0}}) is None else _v"
    ),
    float | None: _Kind("REAL", "nullif(?, -1)", "-1 if (_v := {0}) is None else _v"),
    str | None: _Kind("TEXT", "nullif(?, '')", "{0} or ''"),
}
"""By the annotation of a field. A number with a fraction is one from 0 to 1."""


class Columns:
    """The columns of a table.

    Args:
        table: its name.
        row: a NamedTuple with a field for each column, annotated by one of `_KINDS`.
        verb: `INSERT OR REPLACE` where a row may be there already.

    Raises:
        TypeError: a field has another annotation.
    """

    def __init__(self, table: str, row: type[Any], verb: str = "INSERT") -> None:
        self.table = table
        self._kinds: dict[str, _Kind] = {}
        for name, annotation in get_type_hints(row).items():
            if annotation not in _KINDS:
                raise TypeError(f"{row.__name__}.{name}: no column holds {annotation}")
            self._kinds[name] = _KINDS[annotation]
        self.names = ", ".join(self._kinds)
        marks = ", ".join(kind.mark for kind in self._kinds.values())
        self.insert: Final = f"{verb} INTO {table} ({self.names}) VALUES ({marks})"

    @property
    def declared(self) -> dict[str, str]:
        """The columns as the schema has to declare them."""
        return {name: kind.sql for name, kind in self._kinds.items()}

    def binder(self, record: Record = None, own: Collection[str] = ()) -> Callable[..., Bound]:
        """A function that makes a row for `insert`; see `maker`."""
        bound = {name: kind.bound for name, kind in self._kinds.items()}
        return _compiled(f"{self.table}_row", "({},)", bound, record, own, {})

    def picker(self, *names: str) -> Callable[[Sequence[Any]], Any]:
        """A function that takes some columns, by name, of a row as it is bound."""
        places = list(self._kinds)
        return itemgetter(*map(places.index, names))


def maker(
    made: type[_Made], record: Record = None, own: Collection[str] = (), **always: int | None
) -> Callable[..., _Made]:
    """A function that makes a `msgspec.Struct`, at the price of giving its fields by place.

    Args:
        record: the first parameter of the function: what it has of the same name is taken from
            there.
        own: names that are not taken from the record, although it has them.
        always: fields that have the same value in all that it makes.

    The other fields are given by keyword. One that is missing or unknown is a TypeError.
    """
    fields = dict.fromkeys(made.__struct_fields__, "{0}")  # type: ignore[attr-defined]
    fields |= {name: repr(value) for name, value in always.items()}
    own = {*own, *always}
    return _compiled(f"make_{made.__name__}", "_made({})", fields, record, own, {"_made": made})


def _compiled(
    name: str,
    whole: str,
    parts: dict[str, str],
    record: Record,
    own: Collection[str],
    known: dict[str, Any],
) -> Callable[..., Any]:
    """`def name(record, given, …): return whole`, each part of which is named."""
    listed = record if isinstance(record, tuple) else ()
    has = () if record is None or listed else get_type_hints(record)
    taken = {part: f"_record.{part}" for part in has if part not in own}
    parameters = [] if record is None else ["_record"]
    parameters += [
        part for part, form in parts.items()
        if "{0}" in form and part not in taken and part not in listed
    ]  # fmt: skip
    values = (form.format(taken.get(part, part)) for part, form in parts.items())
    source = (
        f"def {name}({', '.join(parameters)}):\n"
        f"    {', '.join(listed) + ', = _record' if listed else 'pass'}\n"
        f"    return {whole.format(', '.join(values))}"
    )
    exec(source, known)  # made of nothing but the names in our own declarations
    made: Callable[..., Any] = known[name]
    return made
