"""Columns along time: how many succeeded and failed in each bucket; and sparklines."""

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from markupsafe import Markup

from service.web.rendering import short_number

_GAP: Final = 0.18  # of a column's place
_WIDEST: Final = 36.0  # place of a column
_WIDTH: Final = 720
_HEIGHT: Final = 120
_TOPS: Final = (2, 4, 6, 8, 10)
"""Ends of an axis, times a power of ten: their halves are whole numbers too."""


class Column(NamedTuple):
    """What happened in one bucket of time; `title` is shown on pointing at it."""

    good: float
    bad: float
    title: str


def columns(data: Sequence[Column], *, words: tuple[str, str] = ("succeeded", "failed")) -> Markup:
    """A chart of columns, failures on top of successes, with an axis of counts; and the same as
    lines of text, for those who do not see it. `words` say what is good and what is bad."""
    top = top_of(max((each.good + each.bad for each in data), default=0))
    marks = Markup("").join(
        Markup("<span>{}</span>").format(short_number(value)) for value in (top, top // 2, 0)
    )
    rows = Markup("").join(Markup("<li>{}</li>").format(each.title) for each in data)
    return Markup(
        '<div class="plot"><div class="counts" aria-hidden="true">{}</div>{}</div>'
        '<ul class="sr">{}</ul>'
    ).format(marks, _drawing(data, top, summary(data, words)), rows)


def top_of(most: float) -> int:
    """Where an axis from 0 ends that holds `most`: 2, 4, 6, 8 or 10 times a power of ten."""
    size = int(10 ** max(math.ceil(math.log10(max(most, 1))) - 1, 0))
    return next(each * size for each in _TOPS if each * size >= most)


def _drawing(data: Sequence[Column], top: int, told: str) -> Markup:
    width, height = _WIDTH, _HEIGHT
    step = min(width / max(len(data), 1), _WIDEST)
    parts = [
        Markup('<line class="grid" x1="0" x2="{}" y1="{}" y2="{}"/>').format(width, y, y)
        for y in (0.5, height / 2, height - 0.5)
    ]
    for number, each in enumerate(data):
        x, wide = round(number * step + step * _GAP / 2, 1), round(step * (1 - _GAP), 1)
        good, bad = height * each.good / top, height * each.bad / top
        if each.bad:
            bad = max(bad, 2.0)
        inner = Markup("<title>{}</title>").format(each.title)
        inner += _rect("s-completed tone", x, height - good, wide, good)
        inner += _rect("s-failed tone", x, height - good - bad, wide, bad)
        parts.append(Markup("<g>{}</g>").format(inner))
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" '
        'aria-label="{}">{}</svg>'
    ).format(width, height, told, Markup("").join(parts))


def summary(data: Sequence[Column], words: tuple[str, str]) -> str:
    """What a chart of columns says, in a sentence."""
    good, bad = sum(each.good for each in data), sum(each.bad for each in data)
    return f"{good:,.0f} {words[0]} and {bad:,.0f} {words[1]} in {len(data)} buckets of time"


def sparkline(values: Sequence[float], told: str, *, kind: str = "") -> Markup:
    """A small line of columns without axes; `told` says what it shows."""
    top = max(values, default=0) or 1
    step = 100 / max(len(values), 1)
    name = f"s-{kind} tone" if kind else "plain"
    bars = Markup("").join(
        _rect(name, round(n * step, 2), round(24 - 24 * value / top, 2), round(step * 0.8, 2),
              round(24 * value / top, 2))
        for n, value in enumerate(values) if value
    )  # fmt: skip
    return Markup(
        '<svg class="spark" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" '
        'aria-label="{}"><line class="grid" x1="0" x2="100" y1="23.5" y2="23.5"/>{}</svg>'
    ).format(told, bars)


def _rect(name: str, x: float, y: float, width: float, height: float) -> Markup:
    if height <= 0:
        return Markup("")
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
        name, x, round(y, 1), width, round(height, 1)
    )
