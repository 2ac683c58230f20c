"""Tables, trees, times and filters of the command line, without a service."""

import io
import json
from typing import Any

import pytest
from rich.console import Console

from events.errors import BadInput, BadSetting, Closing, LogDamaged, NotFound, SpanledgerError
from events.times import human_duration
from projections.query.table import Column, Kind
from projections.query.times import human_age, human_bytes, parse_moment
from service.cli.output import exits, render
from service.cli.output.documents import write_csv, write_json
from service.cli.output.render import Writing, bar, fit, grid, write_value
from service.cli.output.timeline import draw_spans, tree

NOW_NS = 1_800_000_000_000_000_000
HOUR_NS = 3600 * 10**9
COLUMNS = (
    Column("task", "task_id", narrow=8),
    Column("status", "status", Kind.STATUS),
    Column("message", "error.message", drop=2, narrow=12),
    Column("took", "duration_ns", Kind.DURATION, drop=1),
)
PIPE = Writing(NOW_NS, terminal=False)
TERMINAL = Writing(NOW_NS, terminal=True)


def make_record(**changes: Any) -> dict[str, Any]:
    """A record with a task, a status, an error and a duration."""
    record = {
        "task_id": "nightly",
        "status": "failed",
        "error": {"message": "disk full"},
        "duration_ns": 1_500_000_000,
    }
    return record | changes


def draw(records: list[dict[str, Any]], *, width: int = 80, terminal: bool = True) -> str:
    """The table of `records` as text."""
    target = Console(
        file=io.StringIO(), width=width, force_terminal=terminal, no_color=True, highlight=False
    )
    target.soft_wrap = not terminal
    with target.capture() as capture:
        target.print(grid(COLUMNS, records, target))
    return capture.get()


def visible(text: str) -> list[str]:
    """The lines without styles."""
    return [render.Text.from_ansi(line).plain for line in text.splitlines()]


def test_a_wide_terminal_shows_every_column() -> None:
    """With room for all, nothing is left out or cut."""
    header, line = visible(draw([make_record()], width=100))
    assert header.split() == ["TASK", "STATUS", "MESSAGE", "TOOK"]
    assert line.split() == ["nightly", "✘", "failed", "disk", "full", "1.50", "s"]


def test_a_narrow_terminal_drops_the_least_important_column_first() -> None:
    """The column with the highest drop number goes first, then the next."""
    assert "MESSAGE" not in draw([make_record()], width=30)
    assert "TOOK" in draw([make_record()], width=30)
    assert "TOOK" not in draw([make_record()], width=22)


@pytest.mark.parametrize("width", [20, 30, 40, 80, 140])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    """Long texts, wide characters too, end in an ellipsis at the terminal's edge."""
    long = make_record(task_id="任務" * 60, error={"message": "x" * 500})
    for line in visible(draw([long, make_record()], width=width)):
        assert render.cell_len(line.rstrip()) <= width


def test_a_pipe_gets_everything() -> None:
    """Without a terminal nothing is cut, dropped or coloured."""
    text = draw([make_record(error={"message": "x" * 500})], width=40, terminal=False)
    assert "x" * 500 in text
    assert "1.50 s" in text
    assert "\x1b" not in text


def test_columns_without_any_value_are_left_out_on_a_terminal() -> None:
    """A column that only has gaps takes no room; a pipe keeps the shape."""
    record = make_record(duration_ns=None)
    assert "TOOK" not in draw([record])
    assert "TOOK" in draw([record], terminal=False)


def test_senders_cannot_send_control_characters_to_the_terminal() -> None:
    """Escape sequences, newlines and direction marks in a value become spaces."""
    evil = "a\x1b]0;owned\x07b\nc\u202ed\x9b31m"
    assert write_value(evil, Kind.TEXT, TERMINAL).plain == "a ]0;owned b c d 31m"


@pytest.mark.parametrize(
    ("value", "kind", "terminal", "expected"),
    [
        (None, Kind.DURATION, True, "—"),
        ("completed", Kind.STATUS, True, "✔ completed"),
        ("completed", Kind.STATUS, False, "completed"),
        (1234567, Kind.COUNT, True, "1,234,567"),
        (1234567, Kind.COUNT, False, "1234567"),
        (0.875, Kind.RATIO, True, "87.5 %"),
        (NOW_NS - 2 * HOUR_NS, Kind.MOMENT, True, "2h ago"),
        (NOW_NS, Kind.MOMENT, False, "2027-01-15T08:00:00Z"),
        ("2027-01-15T07:00:00Z", Kind.MOMENT, True, "1h ago"),
        (0.25, Kind.SECONDS, True, "250 ms"),
        (False, Kind.YES, True, "no"),
        (["a", "b"], Kind.TEXT, True, "a, b"),
    ],
)
def test_values_are_written_by_kind(value: Any, kind: Kind, terminal: bool, expected: str) -> None:
    """Each kind of value has one way for people and one for pipes."""
    assert write_value(value, kind, TERMINAL if terminal else PIPE).plain == expected


def test_without_utf8_only_ascii_is_written() -> None:
    """A terminal that cannot show symbols gets words."""
    ascii_only = Writing(NOW_NS, terminal=True, symbols=False)
    assert write_value("failed", Kind.STATUS, ascii_only).plain == "failed"
    assert write_value(2500, Kind.DURATION, ascii_only).plain == "2.5 us"
    assert write_value(None, Kind.TEXT, ascii_only).plain == "-"


def test_widths_never_exceed_what_is_wanted() -> None:
    """With room to spare each column is as wide as its longest value."""
    assert fit(COLUMNS, [10, 8, 30, 6], 200) == [10, 8, 30, 6]


@pytest.mark.parametrize(
    ("duration_ns", "expected"),
    [
        (0, "0 s"),
        (999, "999 ns"),
        (1500, "1.5 µs"),
        (999_600, "1 ms"),
        (12_345_678, "12.3 ms"),
        (999_600_000, "1.00 s"),
        (59_940_000_000, "59.9 s"),
        (59_960_000_000, "1m 00s"),
        (3_725 * 10**9, "1h 02m"),
        (90_000 * 10**9, "1d 01h"),
        (-1_500_000_000, "-1.50 s"),
    ],
)
def test_durations_have_two_significant_parts(duration_ns: int, expected: str) -> None:
    """Every size of duration is short and carries its unit; a negative one keeps its sign."""
    assert human_duration(duration_ns) == expected


def test_ages_and_sizes() -> None:
    """Ages have one part, sizes a binary unit."""
    assert human_age(NOW_NS - 90 * 10**9, NOW_NS) == "1m ago"
    assert human_age(NOW_NS + 3 * HOUR_NS, NOW_NS) == "in 3h"
    assert human_age(NOW_NS - 12 * 24 * HOUR_NS, NOW_NS) == "12d ago"
    assert [human_bytes(n) for n in (512, 1536, 20 << 20, 1020 << 10)] == [
        "512 B", "1.5 KiB", "20.0 MiB", "1.0 MiB"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "expected_ns"),
    [
        ("now", NOW_NS),
        ("1h", NOW_NS - HOUR_NS),
        ("1h30m", NOW_NS - HOUR_NS - HOUR_NS // 2),
        ("0.5d", NOW_NS - 12 * HOUR_NS),
        ("2027-01-15T08:00:00Z", NOW_NS),
        ("2027-01-15T09:00:00.000000001+01:00", NOW_NS + 1),
        ("2027-01-15", NOW_NS - 8 * HOUR_NS),
    ],
)
def test_moments_are_rfc3339_or_ages(text: str, expected_ns: int) -> None:
    """A moment is a time with a zone, a day, an age or `now`."""
    assert parse_moment(text, NOW_NS) == expected_ns


@pytest.mark.parametrize(
    "text", ["", "h", "1y", "yesterday", "2027-13-01", "1h 5m x", "-1h", f"{'9' * 60}w"]
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    """Anything else is bad input, with the text in the message."""
    with pytest.raises(BadInput, match="no RFC 3339 time"):
        parse_moment(text, NOW_NS)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SpanledgerError("x"), 1),
        (exits.Failed("x"), 1),
        (BadSetting("x"), 2),
        (NotFound("x"), 3),
        (Closing("x"), 4),
        (LogDamaged("x"), 5),
    ],
)
def test_each_error_ends_in_its_exit_code(error: SpanledgerError, code: int) -> None:
    """The branch of the error tree decides the exit code."""
    assert exits.exit_code(error) == code


def test_csv_has_every_field_of_every_record(capsys: pytest.CaptureFixture[str]) -> None:
    """Nested fields are dotted, lists are JSON, gaps are empty."""
    write_csv([{"a": 1, "b": {"c": "x,y"}}, {"a": True, "b": None, "d": ["p", "q"]}])
    assert capsys.readouterr().out == 'a,b.c,d\n1,"x,y",\ntrue,,"[""p"", ""q""]"\n'


def test_json_in_a_pipe_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A document stays on one line and keeps its characters."""
    write_json({"items": [{"task_id": "täglich"}]})
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "täglich" in out
    assert json.loads(out)["items"]


def test_a_bar_is_never_empty_and_never_too_long() -> None:
    """Even an instant fills one cell, and rounding adds none."""
    assert bar(0, 0, 10) == "█·········"
    assert bar(1, 1, 10) == "·········█"
    assert bar(0.25, 0.75, 8) == "··████··"
    assert bar(0, 1, 4, symbols=False) == "####"


def make_span(span_id: str, parent: str | None, start_ns: int, end_ns: int = 0) -> dict[str, Any]:
    """A span as the API shows it."""
    return {
        "span_id": span_id, "parent_span_id": parent, "name": f"span {span_id}",
        "start_ns": start_ns, "end_ns": end_ns, "status_code": 0,
    }  # fmt: skip


def test_spans_stand_under_their_parents_by_start() -> None:
    """Children follow their parent, earliest first; a span without a known parent is a root."""
    spans = [
        make_span("c", "a", 30), make_span("a", None, 10),
        make_span("b", "a", 20), make_span("x", "gone", 5),
    ]  # fmt: skip
    branches = tree(spans)
    assert [branch.span["span_id"] for branch in branches] == ["x", "a", "b", "c"]
    assert [branch.lead for branch in branches] == ["", "", "├─ ", "└─ "]


def test_every_span_is_drawn_once_whatever_the_parents_say() -> None:
    """Rings of parents and repeated ids lose nothing and end."""
    spans = [
        make_span("a", "b", 1), make_span("b", "a", 2),
        make_span("c", "c", 3), make_span("a", None, 4), make_span("d", "a", 5),
    ]  # fmt: skip
    assert len(tree(spans)) == len(spans)


def test_a_very_deep_trace_is_drawn() -> None:
    """Depth costs no recursion, and the lines stay within the terminal."""
    spans = [make_span(str(n), str(n - 1), n + 1, n + 2) for n in range(3000)]
    target = Console(file=io.StringIO(), width=80, force_terminal=True, no_color=True)
    lines = draw_spans(tree(spans), (1, 3002), {}, target)
    assert max(line.cell_len for line in lines) <= 80


def test_a_span_that_runs_has_no_duration() -> None:
    """A span without an end is drawn up to the end of the trace."""
    target = Console(file=io.StringIO(), width=80, force_terminal=False)
    (line,) = draw_spans(tree([make_span("a", None, 1)]), (1, 100), {}, target)
    assert "running" in line.plain
    assert line.plain.endswith("█" * 40)
