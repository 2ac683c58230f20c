"""What the demo shows: tasks, the latest attempts and the errors, asked of the HTTP API."""

from typing import Any

import httpx
from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from service.cli.output.render import STATUSES

_TASKS = 7
_ERRORS = 4
_MOST_ATTEMPTS = 8
_EXECUTOR_CHARS = 14
_OTHER_LINES = 1 + (2 + _TASKS) + 3 + (3 + _ERRORS) + 1
"""Lines of the screen that are no attempts."""


class Api:
    """The HTTP API of one service; `base` is `http://host:port`."""

    def __init__(self, base: str) -> None:
        # Its service is on this machine: no proxy of the environment is asked.
        self._client = httpx.Client(base_url=base, timeout=5, trust_env=False)

    def get(self, path: str, **query: Any) -> Any:
        """The JSON answer of a GET below `/api/v1/`."""
        answer = self._client.get(f"/api/v1/{path}", params=query)
        return answer.raise_for_status().json()

    def is_ready(self) -> bool:
        """Whether it answers, and all that it needs is there."""
        try:
            return bool(self.get("health/ready")["status"] == "ready")
        except (httpx.HTTPError, ValueError):
            return False


def screen(api: Api, console: Console) -> RenderableType:
    """Everything at this moment, in as many lines as the terminal has."""
    rows = max(2, min(_MOST_ATTEMPTS, console.height - _OTHER_LINES))
    return Group(_tasks(api), Text(), _attempts(api, rows), Text(), _errors(api))


def totals(api: Api) -> Text:
    """One line: how much there is by now."""
    metrics = [row for row in api.get("metrics/tasks")["items"] if row["executor"] is None]
    head = api.get("log/head")["position"]
    sums = {
        key: sum(row[key] for row in metrics)
        for key in ("runs", "retries", "recovered_runs", "failed_runs")
    }
    return Text.from_markup(
        f"[green]●[/] {int(head):,} events, {sums['runs']:,} runs, "
        f"{sums['retries']:,} retries, [green]{sums['recovered_runs']:,} recovered[/], "
        f"[red]{sums['failed_runs']:,} failed for good[/]"
    )


def _tasks(api: Api) -> RenderableType:
    metrics = {r["task_id"]: r for r in api.get("metrics/tasks")["items"] if r["executor"] is None}
    table = _table("Tasks", "task", "now", ">runs", ">recovered", ">tries", ">ok", ">p95")
    tasks = api.get("tasks", limit=_TASKS)["items"]
    for task in sorted(tasks, key=lambda task: str(task["task_id"])):
        row = metrics.get(task["task_id"], {})
        rate, p95 = row.get("success_rate"), (row.get("duration_s") or {}).get("p95")
        table.add_row(
            task["task_id"],
            _mark(task["status"]),
            str(row.get("runs", 0)),
            str(row.get("recovered_runs", 0)),
            str(row.get("executions", 0)),
            "–" if rate is None else f"{rate:.0%}",
            "–" if p95 is None else f"{p95:.2f} s",
        )
    return table


def _attempts(api: Api, rows: int) -> RenderableType:
    table = _table("Latest attempts", "started", "task", ">try", "status", "executor", "error")
    running = api.get("attempts", limit=3, status="running")["items"]
    ended = (row for row in api.get("attempts", limit=rows)["items"] if row["status"] != "running")
    for row in [*running, *ended][:rows]:
        table.add_row(
            row["started_at"][11:19],
            row["task_id"],
            str(row["attempt"]),
            _mark(row["status"]),
            _cut(row["executor"] or ""),
            _error(row["error"]),
        )
    return table


def _cut(executor: str) -> str:
    """Long ids of processes would leave no room for errors."""
    return executor if len(executor) <= _EXECUTOR_CHARS else f"{executor[: _EXECUTOR_CHARS - 1]}…"


def _errors(api: Api) -> RenderableType:
    table = _table("Error patterns", ">count", "type", "message")
    for row in api.get("errors", limit=_ERRORS)["items"]:
        table.add_row(str(row["count"]), _short(row), Text(row["message"] or ""))
    return table


def _table(title: str, *columns: str) -> Table:
    """`>` puts a column to the right; only the last column gives way."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None)
    table.expand = not columns[-1].startswith(">")
    for column in columns:
        last = column is columns[-1]
        table.add_column(
            column.lstrip(">"),
            justify="right" if column.startswith(">") else "left",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if last and not column.startswith(">") else None,
        )
    return table


def _error(error: dict[str, Any] | None) -> Text:
    return Text(f"{_short(error)}: {error['message']}" if error else "")


def _short(error: dict[str, Any]) -> str:
    """An error's type without its modules."""
    return str(error["type"] or "error").rpartition(".")[2]


def _mark(status: str) -> Text:
    sign, style = STATUSES.get(status, ("", ""))
    return Text(f"{sign} {status.replace('_', ' ')}", style=style)


def print_next_steps(
    console: Console, endpoints: dict[str, str], command: str, data: str, output: str
) -> None:
    """Say what to open and what to ask next, in lines that can be copied."""
    api = f"http://{endpoints['api']}"
    lines = (
        ("Open", f"{api}/", "and /docs: every question, every record"),
        ("Ask", f"{command} tasks --data {data}", ""),
        ("", f"{command} runs --min-attempts 2 --data {data}", ""),
        ("", f"{command} attempts --task checkout.charge --data {data}", ""),
        ("", f"{command} errors --data {data}", ""),
        ("", f"curl '{api}/api/v1/runs?min_attempts=2'", ""),
        ("Rebuild", f"{command} projections rebuild --all --data {data}", ""),
        ("Send", f"export OTEL_EXPORTER_OTLP_ENDPOINT=http://{endpoints['http']}", ""),
        ("", f"{endpoints['grpc']} for gRPC", ""),
        ("Output", output, "of the service"),
        ("Stop", "Ctrl-C", ""),
    )
    console.print()
    console.print(Rule("[bold]Spanledger is serving[/]", style="green"))
    for word, text, remark in lines:
        line = Text.assemble((f" {word:<9}", "bold"), text, "  ", (remark, "dim"))
        line.rstrip()
        console.print(line, soft_wrap=True)
    console.print()
