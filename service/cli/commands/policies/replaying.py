"""`spanledger policies replay`: what a policy would have changed of the past."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Group
from rich.text import Text

from events.errors import BadInput
from events.times import rfc3339
from projections.policies.replaying import Effect, PastChances, Tried, replay, tried_of
from projections.query.table import Column, Kind
from projections.query.times import parse_moment
from service.cli.command import command
from service.cli.commands.policies.options import CaseOptions, Policies, chosen
from service.cli.options import FILTERS, Asking, Json
from service.cli.output.bars import progress_bar
from service.cli.output.documents import write_json
from service.cli.output.render import console, grid
from service.cli.source.source import Source, open_source

_PAGE: Final = 1000
_COLUMNS: Final = (
    Column("category", "category"),
    Column("runs", "runs", Kind.COUNT),
    Column("changed", "changed_runs", Kind.COUNT),
    Column("saved", "attempts_saved", Kind.COUNT),
    Column("cut", "attempts_cut", Kind.COUNT, drop=1),
    Column("spent", "attempts_spent"),
    Column("lost", "lost"),
    Column("won", "won"),
    Column("busy", "busy_s", Kind.SECONDS, drop=1),
    Column("waiting", "waited_s", Kind.SECONDS, drop=1),
    Column("cost", "cost", drop=1),
)


@command
def replay_policies(
    case: CaseOptions,
    asking: Asking,
    policies: Policies = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="TIME", help="Runs' attempts from then on.", rich_help_panel=FILTERS
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="And before then.", rich_help_panel=FILTERS),
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", metavar="NUMBER", min=1, help="Attempts read, at most.")
    ] = 500_000,
    assumed_environment: Annotated[
        str, typer.Option("--assume-environment", metavar="NAME", help="Of attempts that say none.")
    ] = "",
    cost_per_hour: Annotated[
        float,
        typer.Option(
            "--cost-per-hour",
            metavar="USD",
            min=0,
            help="What an hour costs of attempts that say no cost.",
        ),
    ] = 0.0,
    as_json: Json = False,
) -> None:
    """Say what a policy would have changed of the past: attempts saved or spent, runs lost or won.

    Where the policy goes on longer than the past did, nobody knows what would have come of it:
    the share of such retries that succeeded in the same history is expected, within bounds.

    Examples:

        spanledger policies replay --policies new.toml --since 1w
    """
    rules = chosen(policies, asking.data)
    filters = {
        "since": _moment(since), "until": _moment(until), "sort": "started",
        "task": case.task or None, "component": case.component or None,
        "environment": (case.environment or None) if not assumed_environment else None,
    }  # fmt: skip
    reading = partial(tried_of, environment=assumed_environment, usd_per_hour=cost_per_hour)
    with open_source(asking) as source:
        found = _runs(source, {**asking.of_views(), **filters}, reading, limit)
    runs = [run for run in found if case.environment in ("", run[-1].case.environment)]
    chances = PastChances(runs)
    effects: defaultdict[str, Effect] = defaultdict(Effect)
    with progress_bar() as bar:
        for attempts in bar.track(runs, description="replaying"):
            effect = replay(rules, attempts, chances)
            effects[_category(attempts)].add(effect)
            effects["all"].add(effect)
    items = [_item(name, effects[name]) for name in sorted(effects)]
    document = {"policies": rules.digest, "items": items}
    if as_json:
        write_json(document)
        return
    out = console()
    head = Text(f"policies {rules.digest}: what they would have changed\n")
    out.print(Group(head, grid(_COLUMNS, items, out)))


def _moment(given: str | None) -> str | None:
    return None if given is None else rfc3339(parse_moment(given, time.time_ns()))


def _runs(
    source: Source, filters: dict[str, Any], read: Callable[..., Tried], limit: int
) -> list[list[Tried]]:
    """The runs of the past that have ended, attempts in order."""
    runs: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    with progress_bar() as bar:
        reading = bar.add_task("reading", total=None)
        for record in _attempts(source, filters, limit):
            runs[record["task_id"], record["run_id"]].append(record)
            bar.advance(reading)
    found = []
    for records in runs.values():
        records.sort(key=lambda record: int(record["attempt"]))
        if records[-1]["ended_ns"] is None:
            continue
        attempts: list[Tried] = []
        for record in records:
            before = attempts[-1] if attempts else None
            attempts.append(read(record, before))
        found.append(attempts)
    return found


def _attempts(source: Source, filters: dict[str, Any], limit: int) -> Iterator[dict[str, Any]]:
    cursor, left = None, limit
    while left > 0:
        page = source.ask("attempts", {**filters, "cursor": cursor, "limit": min(_PAGE, left)})
        yield from page["items"]
        left -= len(page["items"])
        cursor = page["next"]
        if cursor is None:
            return
    raise BadInput(
        f"there are more than {limit} attempts: give --since, --task or a higher --limit"
    )


def _category(attempts: list[Tried]) -> str:
    """That of the run's last failure; of a run without any, `none`."""
    failed = [one for one in attempts if one.case.category != "unknown" or one.case.fingerprint]
    return failed[-1].case.category if failed else "none"


def _item(category: str, effect: Effect) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(effect)
    numbers = {n: round(v, 6) if isinstance(v, float) else v for n, v in told.items()}
    cost_usd = effect.cost_spent_usd - effect.cost_saved_usd
    return {
        "category": category,
        **numbers,
        "busy_s": round(effect.busy_spent_s - effect.busy_saved_s, 3),
        "cost_usd": round(cost_usd, 6) if effect.attempts_with_cost else None,
        "lost": _between(effect.runs_lost_low, effect.runs_lost_high),
        "won": f"{effect.runs_won:.1f} ({_between(effect.runs_won_low, effect.runs_won_high)})",
        "cost": f"{cost_usd:+.2f}" if effect.attempts_with_cost else None,
    }


def _between(low: float, high: float) -> str:
    return f"{low:g}" if low == high else f"{low:.3g} to {high:.3g}"
