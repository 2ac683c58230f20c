"""A data folder with a log and folded views, made without a service."""

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import numpy as np

from events.log.door import GroupDoor
from events.log.port import Batch
from projections.storage.generation import connect_reader
from service.control.projector import build_projector

_SORTED_RUNS = re.compile(r"(?!search_)(\w+)_(run|block|filter)")


def make_folder(data: Path, batches: Iterable[Batch]) -> Path:
    """Append the batches to the log of `data` and fold all of it into its first views."""
    door = GroupDoor(data)
    for batch in batches:
        door.append(batch)
    door.close()
    projector = build_projector(data, rollback_s=3600.0)
    projector.open()
    while projector.step():
        pass
    projector.close()
    return data


def tables_of(path: Path) -> dict[str, list[str]]:
    """What the tables of a views file hold, less what tells when and how it was made.

    How sorted runs are cut depends on the pages; of them the entries are told.
    """
    tables: dict[str, list[str]] = {}
    with closing(connect_reader(path)) as views:
        listed = views.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in listed:
            index = _SORTED_RUNS.fullmatch(name)
            if index is not None:
                tables[index[1]] = _entries(views, index[1])
            elif name not in {"generation", "checkpoint", "projection_state"}:
                rows = views.execute(f'SELECT * FROM "{name}"')
                tables[name] = sorted(repr(row) for row in rows)
    return tables


def _entries(views: sqlite3.Connection, index: str) -> list[str]:
    """Partition, key and value of every entry of an index of sorted runs."""
    rows = views.execute(
        f"SELECT partition, base, keys, offsets FROM {index}_run JOIN {index}_block USING (run_no)"
        " WHERE state = 0"
    )
    entries = {
        (partition, key, base + offset)
        for partition, base, keys, offsets in rows
        for key, offset in zip(
            np.frombuffer(keys, "<u8").tolist(), np.frombuffer(offsets, "<u4").tolist(), strict=True
        )
    }
    return [repr(entry) for entry in sorted(entries)]
