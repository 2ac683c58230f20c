"""`spanledger simulate`: a stream of runs with chosen failures, sent to a service."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Final

import typer

from service.cli.command import command
from service.cli.options import Json
from service.cli.output.bars import progress_bar
from service.cli.output.documents import write_json
from service.cli.output.render import console, pairs, writing_on
from service.kit.failures import provoking
from service.kit.stream import Plan, modes_of, perform, planned, window_of
from service.run.recording import Destination, recording

_THREADS: Final = 8
_SERVICE: Final = "simulation"
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint", metavar="URL", help="OTLP over HTTP; http://127.0.0.1:4318 if not given."
    ),
]


@command
def simulate(
    endpoint: Endpoint = None,
    token: Annotated[
        str | None, typer.Option("--token", envvar="SPANLEDGER_TOKEN", help="A token to send with.")
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", envvar="SPANLEDGER_TENANT", help="Whose runs.")
    ] = None,
    service: Annotated[
        str, typer.Option("--service", metavar="NAME", help="The component that they are of.")
    ] = _SERVICE,
    runs: Annotated[
        int, typer.Option("--runs", metavar="NUMBER", min=1, help="How many runs.")
    ] = 200,
    rate: Annotated[
        float, typer.Option("--rate", metavar="NUMBER", min=0.01, help="Runs a second.")
    ] = 20.0,
    failures: Annotated[
        float,
        typer.Option("--failures", metavar="SHARE", min=0, max=1, help="First attempts that fail."),
    ] = 0.2,
    mode: Annotated[
        list[str] | None,
        typer.Option(
            "--mode", metavar="CATEGORY[=WEIGHT]", help="How they fail; repeatable, else any way."
        ),
    ] = None,
    retries: Annotated[
        int, typer.Option("--retries", metavar="NUMBER", min=0, max=20, help="At most, a run.")
    ] = 2,
    recovery: Annotated[
        float,
        typer.Option("--recovery", metavar="SHARE", min=0, max=1, help="Retries that are well."),
    ] = 0.7,
    burst: Annotated[
        list[str] | None,
        typer.Option("--burst", metavar="START+SECONDS", help="80 % fail then; repeatable."),
    ] = None,
    outage: Annotated[
        list[str] | None,
        typer.Option("--outage", metavar="START+SECONDS", help="All fail then; repeatable."),
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", metavar="ID", help="Of these tasks; repeatable.")
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="NUMBER", help="The same seed fails the same way.")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Send a stream of runs that fail as chosen, to try dashboards, alerts and policies.

    Errors are really provoked: refused and reset connections, timeouts, a full device, locked
    databases, HTTP answers, killed processes. Each attempt has `task.simulated`.

    Examples:

        spanledger simulate

        spanledger simulate --mode network=3 --mode timeout --outage 5+3 --runs 400
    """
    windows = [
        *(window_of(one, "--outage", 1.0) for one in outage or ()),
        *(window_of(one, "--burst", 0.8) for one in burst or ()),
    ]
    with provoking() as failing:
        modes = modes_of(mode or (), failing.categories)
        plan = Plan(runs, rate, failures, modes, retries, recovery, windows, seed)
        plan = plan._replace(tasks=tuple(task)) if task else plan
        where = Destination(endpoint, token, tenant, service, True)
        with recording(where), ThreadPoolExecutor(_THREADS) as pool, progress_bar() as bar:
            sending = bar.add_task("runs", total=runs)
            begun_s = time.monotonic()
            ends = []
            for one in planned(plan):
                time.sleep(max(begun_s + one.begins_s - time.monotonic(), 0.0))
                chance = random.Random(f"{seed} {one.run_id}")
                ends.append((len(one.ends), pool.submit(perform, one, failing, chance)))
                bar.advance(sending)
            well = sum(end.result() for _, end in ends)
    told = {"runs": runs, "attempts": sum(count for count, _ in ends), "completed": well,
            "failed": runs - well, "seed": seed}  # fmt: skip
    if as_json:
        write_json(told)
    else:
        out = console()
        out.print(pairs(told, writing_on(out)))
