"""Places in a lane of time: from nanoseconds to thousandths of its width."""

from typing import Final, NamedTuple

from events.times import human_duration

WIDTH: Final = 1000.0
_LEAST: Final = 2.0
"""No bar is thinner than this, or it could not be seen."""
_TICKS: Final = 4


class Bar(NamedTuple):
    """A horizontal stretch of a lane."""

    x: float
    width: float

    @property
    def end(self) -> float:
        """Where it ends."""
        return self.x + self.width


class Scale:
    """A lane that shows the time from `begins_ns` to `ends_ns`."""

    def __init__(self, begins_ns: int, ends_ns: int) -> None:
        self.begins_ns = begins_ns
        self.span_ns = max(ends_ns - begins_ns, 1)

    def x(self, time_ns: int) -> float:
        """The place of a moment, within the lane."""
        share = (time_ns - self.begins_ns) / self.span_ns
        return round(min(max(share, 0.0), 1.0) * WIDTH, 1)

    def bar(self, from_ns: int, to_ns: int, *, least: float = _LEAST) -> Bar:
        """The stretch between two moments, which may come in any order."""
        low, high = self.x(min(from_ns, to_ns)), self.x(max(from_ns, to_ns))
        width = max(high - low, least)
        return Bar(round(min(low, WIDTH - width), 1), round(width, 1))

    def ticks(self) -> list[str]:
        """What stands along the lane, at equal distances from its begin to its end."""
        return [human_duration(self.span_ns * part / _TICKS) for part in range(_TICKS + 1)]
