"""Rows made by the names of their columns, and what is declared against what the schema says."""

import importlib
import pkgutil
import sqlite3
from typing import NamedTuple

import msgspec
import pytest

import projections
from projections.fold import make_fold
from projections.storage.columns import ABSENT, Columns, maker


class Kinds(NamedTuple):
    """A column of every kind."""

    whole: int
    flag: bool
    text: str
    blob: bytes
    whole_or_not: int | None
    part_or_not: float | None
    text_or_not: str | None


class Half(NamedTuple):
    """What has some of the columns."""

    whole: int
    blob: bytes


KINDS = Columns("kinds", Kinds)
NOTHING = Kinds(0, False, "", b"", None, None, None)
ALL = Kinds(-1, True, "t", b"b", 0, 0.5, "u")


def _stored(bound: tuple[object, ...]) -> tuple[object, ...]:
    connection = sqlite3.connect(":memory:")
    columns = ", ".join(f"{name} {sql}" for name, sql in reversed(KINDS.declared.items()))
    connection.execute(f"CREATE TABLE kinds ({columns}) STRICT")
    connection.execute(KINDS.insert, bound)
    row: tuple[object, ...] = connection.execute(f"SELECT {KINDS.names} FROM kinds").fetchone()
    return row


@pytest.mark.parametrize("row", [NOTHING, ALL])
def test_a_row_comes_back_as_it_was_bound(row: Kinds) -> None:
    """Whatever the order of the columns in the schema."""
    assert _stored(KINDS.binder()(**row._asdict())) == row
    assert _stored(KINDS.binder(Kinds)(row)) == row


def test_nothing_is_bound_that_sqlite_asks_adapters_about() -> None:
    """None, bool and bytes would double the price of a row."""
    for row in (NOTHING, ALL):
        kinds = {type(value) for value in KINDS.binder(Kinds)(row)}
        assert kinds <= {int, float, str, bytearray}
    assert ABSENT in KINDS.binder(Kinds)(NOTHING)


def test_a_record_gives_what_it_has_of_the_same_name() -> None:
    """But for what is the row's own; by attribute, or by the place among given names."""
    others = {k: v for k, v in ALL._asdict().items() if k not in ("whole", "blob")}
    half = Half(7, b"half")
    assert _stored(KINDS.binder(Half)(half, **others)) == ALL._replace(whole=7, blob=b"half")
    made = KINDS.binder(Half, own=("blob",))(half, blob=b"own", **others)
    assert _stored(made) == ALL._replace(whole=7, blob=b"own")
    made = KINDS.binder(("blob", "whole"))([b"half", 7], **others)
    assert _stored(made) == ALL._replace(whole=7, blob=b"half")


def test_columns_are_picked_by_name() -> None:
    """A key, say, of a row as it is bound."""
    assert KINDS.picker("text", "whole")(KINDS.binder(Kinds)(ALL)) == ("t", -1)


def test_a_column_that_is_missing_or_unknown_is_refused() -> None:
    """No value is ever taken for another column's."""
    with pytest.raises(TypeError, match="missing 1 required"):
        KINDS.binder(Kinds, own=("text",))(ALL)
    with pytest.raises(TypeError, match="unexpected keyword argument 'other'"):
        KINDS.binder(Kinds)(ALL, other=1)


def test_what_no_column_holds_is_refused() -> None:
    """At import, and by name."""

    class Odd(NamedTuple):
        listed: list[int]

    with pytest.raises(TypeError, match=r"Odd.listed: no column holds list\[int\]"):
        Columns("odd", Odd)


class Made(msgspec.Struct, frozen=True):
    """What is made of a half and of what is given."""

    extra: int
    blob: bytes
    whole: int


def test_a_record_is_made_by_name() -> None:
    """Of what another one has of the same name, and of what is given."""
    assert maker(Made, Half)(Half(7, b"b"), extra=1) == Made(extra=1, blob=b"b", whole=7)
    given = maker(Made, Half, own=("blob",))(Half(7, b"b"), extra=1, blob=b"c")
    assert given == Made(extra=1, blob=b"c", whole=7)
    assert maker(Made, Half, extra=3, whole=4)(Half(7, b"b")) == Made(extra=3, blob=b"b", whole=4)
    with pytest.raises(TypeError, match="missing 1 required"):
        maker(Made, Half)(Half(7, b"b"))


def _declared() -> dict[str, Columns]:
    """All that our modules declare, by table."""
    modules = pkgutil.walk_packages(projections.__path__, "projections.")
    names = [module.name for module in modules if not module.name.endswith("__main__")]
    found = [vars(importlib.import_module(name)).values() for name in names]
    return {one.table: one for values in found for one in values if isinstance(one, Columns)}


DECLARED = _declared()
ROWS = {"attempt", "run", "task", "metric", "error_pattern", "error_occurrence"}


def test_the_views_declare_their_columns() -> None:
    """Those that have wide rows, and the index of runs."""
    assert set(DECLARED) >= ROWS | {"run_key"}


@pytest.mark.parametrize("table", sorted(DECLARED))
def test_columns_are_what_the_schema_has(table: str) -> None:
    """The same names, types and absences, in the same order."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    make_fold().create(connection)
    rows = connection.execute(
        'SELECT name, type, "notnull" OR pk FROM pragma_table_info(?)', (table,)
    )
    schema = {name: f"{kind} NOT NULL" if never else kind for name, kind, never in rows}
    assert list(DECLARED[table].declared.items()) == list(schema.items())
