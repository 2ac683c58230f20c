"""Rows of a SELECT as typed rows: named tuples whose fields are the statement's columns."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

Key = tuple[int, ...]
R = TypeVar("R")
Row = TypeVar("Row", bound=NamedTuple)
Rows = Callable[[Sequence[Key]], Mapping[Key, R]]


def select(
    connection: sqlite3.Connection, sql: str, values: Mapping[str, Any], kind: type[Row]
) -> Iterator[Row]:
    """The rows of a statement.

    Args:
        kind: has a field for each column, of the same name and in the same order.

    Raises:
        TypeError: `kind` is not the row of this statement.
    """
    rows = connection.execute(sql, values)
    columns = tuple(column[0] for column in rows.description)
    if columns != kind._fields:
        raise TypeError(f"{kind.__name__} has the fields {kind._fields}, its statement {columns}")
    return map(kind._make, rows)


def by_keys(
    connection: sqlite3.Connection,
    sql: str,
    values: Mapping[str, Any],
    kind: type[Row],
    width: int = 2,
) -> Rows[Row]:
    """`Rows` of a statement that reads `:keys` (JSON) and whose first columns are the key.

    Args:
        width: how many columns the key has.
    """

    def rows(keys: Sequence[Key]) -> dict[Key, Row]:
        found = select(connection, sql, {**values, "keys": json.dumps(keys)}, kind)
        return {row[:width]: row for row in found}

    return rows
