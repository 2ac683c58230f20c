"""Answers written as a table, as JSON or as CSV, once or again and again."""

import csv
import io
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from events.errors import BadInput, Unavailable
from projections.query.table import Column
from service.cli.options import Form
from service.cli.output.render import console, grid
from service.cli.output.streams import complain, json_text, write_data

_INCOMPLETE: Final = "the time budget ended before the search did; its `next` goes on"
Document = Mapping[str, Any]
Drawing = Callable[[Document], RenderableType]


def write(ask: Callable[[], Document], form: Form, draw: Drawing) -> None:
    """Ask, and write the answer in the form that was chosen; with --watch until Ctrl-C.

    Args:
        ask: gives the document; called once for each time it is written.
        draw: the document as a table for people.
    """
    if form.as_json and form.as_csv:
        raise BadInput("--json and --csv exclude each other")
    if form.watch:
        _watch(ask, form, draw)
    else:
        _write_once(ask(), form, draw)


def write_json(document: Any) -> None:
    """One JSON document: indented for a person, on one line in a pipe."""
    indent = 2 if sys.stdout.isatty() else None
    write_data(json_text(document, indent=indent) + "\n")


def write_csv(records: Sequence[Mapping[str, Any]]) -> None:
    """The records as CSV: every field of any of them, nested ones dotted, lists as JSON.

    A field that is a record in one row and absent in another has only its dotted columns.
    """
    rows = [dict(_flattened(record)) for record in records]
    known = dict.fromkeys(field for row in rows for field in row)
    fields = [name for name in known if not any(o.startswith(f"{name}.") for o in known)]
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, extrasaction="ignore", lineterminator="\n")
    if fields:
        writer.writeheader()
    writer.writerows(rows)
    write_data(text.getvalue())


def drawing_of_list(columns: Sequence[Column], nothing: str, *, more: str = "--cursor") -> Drawing:
    """Draws a list's items in these columns.

    Args:
        nothing: what is said of an empty list.
        more: the option that takes `next`.
    """

    def draw(document: Document) -> RenderableType:
        out = console()
        items = document["items"]
        parts = [grid(columns, items, out) if items else Text(nothing, style="dim")]
        if out.is_terminal and not document.get("complete", True):
            parts.append(Text(_INCOMPLETE, style="yellow"))
        if out.is_terminal and document.get("behind"):
            names = ", ".join(document["behind"])
            parts.append(Text(f"unknown because a view lags: {names}", style="yellow"))
        if out.is_terminal and document.get("next"):
            parts.append(Text(f"more: {more} {document['next']}", style="dim"))
        return Group(*parts)

    return draw


def items_of(document: Document) -> Sequence[Mapping[str, Any]]:
    """The records of a document: its items, or itself."""
    items = document.get("items")
    return items if isinstance(items, list) else [document]


def _write_once(document: Document, form: Form, draw: Drawing) -> None:
    if form.as_json:
        write_json(document)
    elif form.as_csv:
        write_csv(items_of(document))
    else:
        console().print(draw(document))
    if not document.get("complete", True) and not console().is_terminal:
        complain(_INCOMPLETE)


def _watch(ask: Callable[[], Document], form: Form, draw: Drawing) -> None:
    """Ask until Ctrl-C. Only the first question may fail: later a service may come back."""
    document = ask()
    try:
        if form.as_json or form.as_csv or not console().is_terminal:
            _watch_lines(document, ask, form, draw)
        else:
            _watch_screen(document, ask, form, draw)
    except KeyboardInterrupt:
        return


def _watch_lines(
    document: Document, ask: Callable[[], Document], form: Form, draw: Drawing
) -> None:
    while True:
        _write_once(document, form, draw)
        sys.stdout.flush()
        while True:
            time.sleep(form.every)
            try:
                document = ask()
                break
            except Unavailable as exc:
                complain(str(exc))


def _watch_screen(
    document: Document, ask: Callable[[], Document], form: Form, draw: Drawing
) -> None:
    with Live(console=console(), auto_refresh=False, screen=True) as live:
        shown = draw(document)
        problem: list[RenderableType] = []
        while True:
            live.update(Group(*problem, shown), refresh=True)
            time.sleep(form.every)
            try:
                shown, problem = draw(ask()), []
            except Unavailable as exc:  # the last answer stays in sight
                problem = [Text(str(exc), style="red")]


def _flattened(record: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    fields: list[tuple[str, Any]] = []
    for name, value in record.items():
        if isinstance(value, Mapping):
            fields += _flattened(value, f"{prefix}{name}.")
        elif isinstance(value, bool | list | tuple):
            fields.append((prefix + name, json.dumps(value, ensure_ascii=False)))
        else:
            fields.append((prefix + name, value))
    return fields
