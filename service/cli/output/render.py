"""Tables on a terminal and in a pipe: the one place where records become columns.

On a terminal a table fits its width: columns that matter least are left out first, then long
texts end in an ellipsis. In a pipe nothing is left out or cut and there are no colours; NO_COLOR
turns colours off everywhere. Text from senders never reaches the terminal with control
characters in it.
"""

import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console, Group, RenderableType
from rich.text import Text

from events.times import SECOND_NS, human_duration, parse_rfc3339, rfc3339
from projections.query.table import Column, Kind
from projections.query.times import human_age, human_bytes

Record = Mapping[str, Any]

STATUSES: Final = {
    "running": ("▶", "cyan"),
    "queued": ("…", "cyan"),
    "retrying": ("↻", "yellow"),
    "todo": ("○", "dim"),
    "pending": ("◌", "dim"),
    "completed": ("✔", "green"),
    "failed": ("✘", "bold red"),
    "timed_out": ("◷", "red"),
    "abandoned": ("†", "magenta"),
    "cancelled": ("⊘", "yellow"),
    "skipped": ("↷", "dim"),
    "unknown": ("?", "dim"),
}
ABSENT: Final = "—"
_GAP: Final = "  "
# Control characters, and those that turn the direction of the text around them.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]+")


_RIGHT: Final = {Kind.COUNT, Kind.RATIO, Kind.DURATION, Kind.SECONDS, Kind.BYTES}


@dataclass(frozen=True, slots=True)
class Writing:
    """What decides how a value is written: the clock, and whether a person sits there."""

    now_ns: int
    terminal: bool
    symbols: bool = True


class _Output(Console):
    """A console whose reader may leave: the command ends as any other program would."""

    def on_broken_pipe(self) -> None:
        """See rich; `service.cli.command` knows what to do."""
        raise BrokenPipeError


def console(*, error: bool = False) -> Console:
    """The console on standard output, or on standard error for progress and messages."""
    target = _Output(file=sys.stderr if error else sys.stdout, highlight=False)
    target.soft_wrap = not target.is_terminal
    return target


def writing_on(target: Console) -> Writing:
    """The way values are written on `target`."""
    utf8 = "utf" in (target.encoding or "").lower()
    return Writing(now_ns=time.time_ns(), terminal=target.is_terminal, symbols=utf8)


def plain(text: str) -> str:
    """`text` on one line and without control characters."""
    return _UNSAFE.sub(" ", text)


def field_of(record: Record, path: str) -> Any:
    """The value at a dotted path; None where any part is missing."""
    value: Any = record
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def write_value(value: Any, kind: Kind, writing: Writing) -> Text:
    """One value as styled text."""
    if value is None or value == "":
        return Text(ABSENT if writing.symbols else "-", style="dim")
    if kind is Kind.STATUS:
        return write_status(str(value), writing)
    text = plain(_WRITERS[kind](value, writing))
    return Text(text if writing.symbols else text.replace("µ", "u"))


def write_status(status: str, writing: Writing) -> Text:
    """A status word behind its symbol, in its colour."""
    symbol, style = STATUSES.get(status, ("?", ""))
    shown = f"{symbol} {status}" if writing.terminal and writing.symbols else status
    return Text(plain(shown), style=style)


def _moment(value: int | str, writing: Writing) -> str:
    time_ns = parse_rfc3339(value) if isinstance(value, str) else value
    if writing.terminal:
        return human_age(time_ns, writing.now_ns)
    return rfc3339(time_ns) or str(time_ns)


def _flat(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_flat(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_flat(item)}" for key, item in value.items())
    return str(value)


_WRITERS: Final[Mapping[Kind, Callable[[Any, Writing], str]]] = {
    Kind.TEXT: lambda value, _: _flat(value),
    Kind.COUNT: lambda value, writing: f"{value:,}" if writing.terminal else str(value),
    Kind.RATIO: lambda value, _: f"{100 * value:.1f} %",
    Kind.MOMENT: _moment,
    Kind.DURATION: lambda value, _: human_duration(value),
    Kind.SECONDS: lambda value, _: human_duration(value * SECOND_NS),
    Kind.BYTES: lambda value, _: human_bytes(value),
    Kind.YES: lambda value, _: "yes" if value else "no",
}


def fit(columns: Sequence[Column], wanted: Sequence[int], width: int) -> list[int]:
    """The width in cells of each column, 0 for one that is left out, within `width` in all."""
    least = [
        want if column.kind is not Kind.TEXT else min(want, max(column.narrow, len(column.title)))
        for column, want in zip(columns, wanted, strict=True)
    ]
    kept = set(range(len(columns)))

    def total(widths: Sequence[int]) -> int:
        return sum(widths[i] for i in kept) + len(_GAP) * (len(kept) - 1)

    while total(least) > width and any(columns[i].drop for i in kept):
        kept.remove(max(kept, key=lambda i: (columns[i].drop, i)))
    widths = [min(want, max(width, 1)) for want in wanted]
    while total(widths) > width:
        room = [i for i in kept if widths[i] > least[i]]
        if not room:
            break
        widths[max(room, key=lambda i: widths[i])] -= 1
    return [size if i in kept else 0 for i, size in enumerate(widths)]


def grid(columns: Sequence[Column], records: Sequence[Record], target: Console) -> RenderableType:
    """The records as a table that fits `target`; one line of header, one a record."""
    writing = writing_on(target)
    cells = [
        [write_value(field_of(record, column.field), column.kind, writing) for column in columns]
        for record in records
    ]
    wanted = [
        max([cell_len(column.title), *(row[i].cell_len for row in cells)])
        for i, column in enumerate(columns)
    ]
    if writing.terminal:
        empty = {c.field for c in columns if all(field_of(r, c.field) is None for r in records)}
        filled = [i for i, c in enumerate(columns) if not c.drop or c.field not in empty]
        columns, wanted = [columns[i] for i in filled], [wanted[i] for i in filled]
        cells = [[row[i] for i in filled] for row in cells]
    widths = fit(columns, wanted, target.width) if writing.terminal else wanted
    header = [Text(column.title.upper(), style="bold") for column in columns]
    lines = [_line(columns, row, widths, writing) for row in [header, *cells]]
    return Group(*lines)


def _line(
    columns: Sequence[Column], cells: Sequence[Text], widths: Sequence[int], writing: Writing
) -> Text:
    line = Text(no_wrap=True, overflow="ellipsis" if writing.terminal else "ignore", end="\n")
    shown = [i for i, width in enumerate(widths) if width]
    for i in shown:
        if i != shown[0]:
            line.append(_GAP)
        padding = widths[i] - cells[i].cell_len
        if columns[i].kind in _RIGHT:
            line.append(" " * max(padding, 0))
        line.append_text(_cut(cells[i], widths[i], writing))
        if columns[i].kind not in _RIGHT and i != shown[-1]:
            line.append(" " * max(padding, 0))
    return line


def _cut(cell: Text, width: int, writing: Writing) -> Text:
    if cell.cell_len <= width:
        return cell
    mark = "…" if writing.symbols else "~"
    return Text(set_cell_size(cell.plain, max(width - 1, 0)) + mark, style=cell.style)


def pairs(facts: Mapping[str, Any], writing: Writing) -> RenderableType:
    """Names and values below each other."""
    width = max((len(name) for name in facts), default=0)
    return Group(
        *(
            Text.assemble(
                (f"{name:<{width}}  ", "bold"),
                value if isinstance(value, Text) else write_value(value, Kind.TEXT, writing),
            )
            for name, value in facts.items()
        )
    )


def bar(start: float, end: float, width: int, *, symbols: bool = True) -> str:
    """A bar from `start` to `end` (both 0 to 1) in `width` cells; never empty."""
    first = min(int(start * width), width - 1)
    last = max(first + 1, min(round(end * width), width))
    full, rest = ("█", "·") if symbols else ("#", ".")
    return rest * first + full * (last - first) + rest * (width - last)
