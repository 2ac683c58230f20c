"""Binding many columns fast.

The sqlite3 module asks its adapters about every parameter that is not exactly an int, float, str
or bytearray. That costs 0.2 µs each: None, bool and bytes more than double the price of a wide
row. So rows are bound without them: absent integers as `ABSENT`, absent texts and blobs as
empty ones, blobs as bytearray, and the statement turns what stands for absent into NULL.
"""

from typing import Final

ABSENT: Final = -(1 << 63)
"""Stands for NULL in an integer column; no time, number or difference of times has this value."""


def insert_into(table: str, columns: str) -> str:
    """An INSERT of whole rows.

    `columns` has one letter a column: `n` never NULL, `i` an integer, `t` a text, `b` a blob,
    `p` a progress from 0 to 1 (bound as -1 where absent).
    """
    marks = {
        "n": "?",
        "i": f"nullif(?, {ABSENT})",
        "t": "nullif(?, '')",
        "b": "nullif(?, x'')",
        "p": "nullif(?, -1)",
    }
    return f"INSERT INTO {table} VALUES ({', '.join(marks[letter] for letter in columns)})"
