"""A trace drawn as a tree of spans beside bars that show when each ran."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from events.times import human_duration
from service.cli.output.render import STATUSES, Writing, bar, plain, writing_on

PIPED_BAR_CELLS: Final = 40
_DURATION_CELLS: Final = 9
_DEEPEST: Final = 60
_ERROR: Final = 2  # OTLP's STATUS_CODE_ERROR

Span = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Branch:
    """One span with the lines that lead to it."""

    span: Span
    lead: str


def tree(spans: Sequence[Span]) -> list[Branch]:
    """The spans in tree order: children by start under their parent, orphans as roots.

    Every span comes exactly once, also where parents form a ring.
    """
    known = {span["span_id"] for span in spans}
    children: dict[str, list[int]] = defaultdict(list)
    roots = []
    for number, span in enumerate(spans):
        parent = span.get("parent_span_id")
        if parent and parent in known and parent != span["span_id"]:
            children[parent].append(number)
        else:
            roots.append(number)
    branches: list[Branch] = []
    seen: set[int] = set()
    grown: set[str] = set()  # span ids may repeat; their children come under the first

    def start_of(number: int) -> tuple[int, int]:
        return spans[number].get("start_ns") or 0, number

    def grow(first: int) -> None:
        stack = [(first, "", "")]
        while stack:
            number, own, below = stack.pop()
            if number in seen:
                continue
            seen.add(number)
            branches.append(Branch(spans[number], own))
            span_id = spans[number]["span_id"]
            if span_id in grown:
                continue
            grown.add(span_id)
            under = sorted(children[span_id], key=start_of)
            for child in reversed(under):
                last = child == under[-1]
                stack.append(
                    (child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))
                )

    for root in [*sorted(roots, key=start_of), *range(len(spans))]:
        if root not in seen:
            grow(root)
    return branches


def draw_spans(
    branches: Sequence[Branch],
    bounds: tuple[int, int],
    attempts: Mapping[str, Mapping[str, Any]],
    target: Console,
) -> list[Text]:
    """One line a span: its place in the tree, its duration, and its bar within `bounds` (ns).

    Args:
        attempts: the attempt of each span id that is one, for number and status.
    """
    writing = writing_on(target)
    labels = [_label(branch, attempts, writing) for branch in branches]
    wanted = max((label.cell_len for label in labels), default=0)
    if writing.terminal:
        names = min(wanted, max(target.width // 2, 20))
        bars = max(target.width - names - _DURATION_CELLS - 4, 4)
    else:
        names, bars = wanted, PIPED_BAR_CELLS
    return [
        _line(branch.span, label, names, bars, bounds, attempts, writing)
        for branch, label in zip(branches, labels, strict=True)
    ]


def _label(branch: Branch, attempts: Mapping[str, Mapping[str, Any]], writing: Writing) -> Text:
    lead = branch.lead if len(branch.lead) <= _DEEPEST else "… " + branch.lead[-_DEEPEST:]
    if not writing.symbols:
        lead = lead.translate(str.maketrans("├└│─…", "||| .".replace(" ", "-")))
    name = plain(str(branch.span.get("name") or "")) or "(no name)"
    label = Text.assemble((lead, "dim"), name)
    attempt = attempts.get(branch.span["span_id"])
    if attempt is not None:
        label.append(f"  try {attempt.get('attempt')}", style="bold")
    return label


def _line(
    span: Span,
    label: Text,
    names: int,
    bars: int,
    bounds: tuple[int, int],
    attempts: Mapping[str, Mapping[str, Any]],
    writing: Writing,
) -> Text:
    start, end = span.get("start_ns") or 0, span.get("end_ns") or 0
    attempt = attempts.get(span["span_id"])
    status = str(attempt["status"]) if attempt else ("failed" if _failed(span) else "")
    style = STATUSES.get(status, ("", "blue"))[1]
    length = max(bounds[1] - bounds[0], 1)
    until = end or bounds[1]
    drawn = bar(
        _within((start - bounds[0]) / length),
        _within((until - bounds[0]) / length),
        bars,
        symbols=writing.symbols,
    )
    duration = human_duration(end - start) if end else "running"
    if not writing.symbols:
        duration = duration.replace("µ", "u")
    line = Text(no_wrap=True, overflow="ignore")
    if label.cell_len > names:
        label = Text(set_cell_size(label.plain, names - 1) + ("…" if writing.symbols else "~"))
    line.append_text(label)
    line.append(" " * (names - cell_len(label.plain)))
    line.append(f"  {duration:>{_DURATION_CELLS}}  ")
    line.append(drawn, style=style)
    return line


def _within(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def _failed(span: Span) -> bool:
    status = span.get("status_code", span.get("status"))
    if isinstance(status, Mapping):
        status = status.get("code")
    return status in (_ERROR, "error", "ERROR", "STATUS_CODE_ERROR")
