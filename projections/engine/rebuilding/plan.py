"""What a rebuild is to do, on record, so that it can go on after a cancel or a crash.

`rebuild.json` is there from the start of a rebuild until its views are active. One that was
cancelled, or stopped because the process ended, left a consistent file and goes on from its last
committed page: a stopped one by itself, a cancelled one when it is asked for again. One that was
killed left a file of which nothing is promised, and starts over.
"""

from pathlib import Path
from typing import Final, Literal

import msgspec

from events.atomic_file import replace_file

FILE: Final = "rebuild.json"


State = Literal["running", "stopped", "cancelled"]


class Plan(msgspec.Struct, frozen=True):
    """One rebuild. `names` is None for every projection; `through` bounds a view of the past."""

    number: int
    names: tuple[str, ...] | None = None
    through: dict[int, int] | None = None
    view: str | None = None
    state: State = "running"

    def same_work(self, other: "Plan") -> bool:
        """Do both ask for the same views?"""
        mine, theirs = (
            (self.names, self.through, self.view),
            (other.names, other.through, other.view),
        )
        return mine == theirs


def load(data: Path) -> Plan | None:
    """The plan on record; None if there is none, or none that can be read."""
    try:
        return msgspec.json.decode((data / FILE).read_bytes(), type=Plan)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def store(data: Path, plan: Plan) -> None:
    """Put a plan on record, durably."""
    replace_file(data / FILE, msgspec.json.encode(plan))


def clear(data: Path) -> None:
    """Take the plan off the record."""
    (data / FILE).unlink(missing_ok=True)
