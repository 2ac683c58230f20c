"""Figures: what was measured, under which conditions, and the floor it stands against."""

from typing import Any, Final, Literal

import msgspec
from rich.console import Console
from rich.table import Table

PART: Final = "  "
"""Begins the name of a figure that is a part of the one above it."""
_SMALL_PART: Final = 0.05


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One measured value. `details` holds further values of the same run, unit in the name."""

    name: str
    value: float
    unit: str
    roles: str
    cores: str
    load: str
    floor: float | None = None
    bound: Literal["at least", "at most"] = "at least"
    details: dict[str, float] = {}

    @property
    def met(self) -> bool | None:
        """Whether the floor is met; None without one."""
        if self.floor is None:
            return None
        return self.value >= self.floor if self.bound == "at least" else self.value <= self.floor


def as_json(figure: Figure) -> dict[str, Any]:
    """For `--json`."""
    fields: dict[str, Any] = msgspec.to_builtins(figure)
    return {**fields, "met": figure.met}


def table(figures: list[Figure]) -> Table:
    """Every figure beside its floor; the smallest parts are left out."""
    shown = Table(box=None, pad_edge=False)
    for title in ("figure", "measured", "floor", "met?", "roles", "cores", "load", "details"):
        shown.add_column(title, justify="right" if title in ("measured", "floor") else "left",
                         overflow="fold")  # fmt: skip
    for figure in figures:
        if figure.name.startswith(PART) and figure.value < _SMALL_PART:
            continue
        floor = "" if figure.floor is None else f"{_sign(figure)} {number(figure.floor)}"
        met = "" if figure.met is None else "yes" if figure.met else "[bold red]NO[/]"
        details = ", ".join(f"{name} {number(value)}" for name, value in figure.details.items())
        shown.add_row(
            figure.name, f"{number(figure.value)} {figure.unit}", floor, met,
            figure.roles, figure.cores, figure.load, details,
        )  # fmt: skip
    return shown


def _sign(figure: Figure) -> str:
    return "≥" if figure.bound == "at least" else "≤"


def number(value: float) -> str:
    """A value with three significant digits or all of its integer part."""
    if abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.3g}"


def show(figures: list[Figure]) -> None:
    """Print the table; wide, if it is not a terminal that it goes to."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=220)
    console.print(table(figures))
