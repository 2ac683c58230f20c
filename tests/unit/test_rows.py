"""Rows of a SELECT by the names of its columns."""

import sqlite3
from typing import NamedTuple

import pytest

from projections.query.rows import by_keys, select


class Pair(NamedTuple):
    """A row of two columns."""

    left: int
    right: str


def test_columns_are_fields() -> None:
    """Each row has the statement's columns by name."""
    connection = sqlite3.connect(":memory:")
    (row,) = select(connection, "SELECT 1 AS left, :text AS right", {"text": "x"}, Pair)
    assert (row.left, row.right) == (1, "x")


@pytest.mark.parametrize("columns", ["2 AS right, 1 AS left", "1 AS left", "1 AS left, 2, 3"])
def test_a_row_of_another_statement_is_refused(columns: str) -> None:
    """Columns that moved, went or came are never taken for others."""
    with pytest.raises(TypeError, match="Pair has the fields"):
        select(sqlite3.connect(":memory:"), f"SELECT {columns}", {}, Pair)


def test_rows_are_found_by_their_first_columns() -> None:
    """Keys that have no row are left out."""
    sql = "SELECT value ->> 0 AS left, 'r' AS right FROM json_each(:keys) WHERE value ->> 0 > 1"
    rows = by_keys(sqlite3.connect(":memory:"), sql, {}, Pair, width=1)([(1,), (2,)])
    assert rows == {(2,): Pair(2, "r")}
