"""How a list reads as a table: which columns, and by which command it is asked for.

A view says so in its folder's `__init__.py`, as `TABLE`. The command line makes the command of it
without loading anything else; `service/cli/output/render.py` draws it.
"""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a column's values are written."""

    TEXT = "text"
    STATUS = "status"
    COUNT = "count"
    RATIO = "ratio"
    MOMENT = "moment"
    DURATION = "duration"
    SECONDS = "seconds"
    BYTES = "bytes"
    YES = "yes"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: the record's field (dotted for nested ones) under a title.

    `drop` says which columns leave first when the terminal is narrow: the highest; 0 stays.
    `narrow` is the width in cells below which a text is not cut.
    """

    title: str
    field: str
    kind: Kind = Kind.TEXT
    drop: int = 0
    narrow: int = 10


@dataclass(frozen=True, slots=True)
class Table:
    """A list as a command: `spanledger NAME`, with an option for each parameter of the question.

    Args:
        path: of the endpoint that answers.
        sentence: what the command does, in the list of commands.
        about: the same at more length, for the command's own help.
        nothing: what is said of an empty list.
        examples: lines that a reader may type.
    """

    name: str
    path: str
    sentence: str
    about: str
    nothing: str
    columns: tuple[Column, ...]
    examples: tuple[str, ...] = ()
