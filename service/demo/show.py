"""What the demo shows while it runs: tasks, the latest attempts and the errors, from the API."""

import json
import urllib.parse
import urllib.request
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

_MARKS = {
    "completed": "[green]● completed[/]",
    "failed": "[red]✗ failed[/]",
    "timed_out": "[red]⧖ timed out[/]",
    "running": "[cyan]▶ running[/]",
    "retrying": "[yellow]↻ retrying[/]",
    "abandoned": "[magenta]? abandoned[/]",
}


_WIDTHS = {"started": 8, "task": 20, "try": 3, "status": 11, "executor": 8, "type": 15}


class Api:
    """The HTTP API of one service; `base` is `http://host:port`."""

    def __init__(self, base: str) -> None:
        self._base = base

    def get(self, path: str, **query: Any) -> Any:
        """The JSON answer of a GET below `/api/v1/`."""
        asked = f"{self._base}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return json.load(answer)


def screen(api: Api) -> RenderableType:
    """Everything at this moment."""
    return Group(_tasks(api), _attempts(api), _errors(api))


def _tasks(api: Api) -> RenderableType:
    states = {task["task_id"]: task["status"] for task in api.get("tasks")["items"]}
    table = _table("Tasks", "task", "now", ">runs", ">recovered", ">tries", ">ok", ">p95")
    for row in api.get("metrics/tasks", by="task", limit=50)["items"]:
        rate, p95 = row["success_rate"], (row["duration_s"] or {}).get("p95")
        table.add_row(
            row["task_id"],
            _mark(states.get(row["task_id"], "")),
            str(row["runs"]),
            str(row["recovered_runs"]),
            str(row["executions"]),
            "–" if rate is None else f"{rate:.0%}",
            "–" if p95 is None else f"{p95:.2f} s",
        )
    return table


def _attempts(api: Api) -> RenderableType:
    table = _table(
        "Latest attempts", "started", "task", ">try", "status", "executor", "error", last=True
    )
    for row in api.get("attempts", limit=8)["items"]:
        error = row["error"] or {}
        table.add_row(
            row["started_at"][11:19],
            row["task_id"],
            str(row["attempt"]),
            _mark(row["status"]),
            row["executor"] or "",
            Text(f"{_short(error)}: {error['message']}" if error else "", overflow="ellipsis"),
        )
    return table


def _errors(api: Api) -> RenderableType:
    table = _table("Error patterns", ">count", "type", "message", last=True)
    for row in api.get("errors", limit=4)["items"]:
        table.add_row(
            str(row["count"]), _short(row), Text(row["message"] or "", overflow="ellipsis")
        )
    return table


def _table(title: str, *columns: str, last: bool = False) -> Table:
    """`>` puts a column to the right; `last` lets only the last column give way."""
    table = Table(title=title, title_justify="left", title_style="bold", expand=True, box=None)
    for column in columns:
        gives_way = last and column == columns[-1]
        table.add_column(
            column.lstrip(">"),
            justify="right" if column.startswith(">") else "left",
            no_wrap=True,
            min_width=None if gives_way or not last else _WIDTHS.get(column.lstrip(">"), 5),
            ratio=1 if gives_way else None,
        )
    return table


def _short(error: dict[str, Any]) -> str:
    """An error's type without its modules."""
    return str(error["type"] or "error").rpartition(".")[2]


def _mark(status: str) -> str:
    return _MARKS.get(status, status)


def next_steps(endpoints: dict[str, str], command: str) -> RenderableType:
    """What to open and what to ask next."""
    api = f"http://{endpoints['api']}"
    return Panel(
        "\n".join(
            (
                f"[bold]Open[/]   {api}/  ·  {api}/docs",
                f"[bold]Ask[/]    {command} tasks --url {api}",
                f"       {command} attempts --task checkout.charge --url {api}",
                f"       {command} errors --url {api}",
                f"[bold]Send[/]   OTLP/gRPC to {endpoints['grpc']}, "
                f"OTLP/HTTP to http://{endpoints['http']}",
                "[bold]Stop[/]   Ctrl-C",
            )
        ),
        title="Spanledger is serving",
        border_style="green",
    )
