"""`spanledger log`: the event log itself, with or without a running service."""

import itertools
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from events.errors import BadInput
from events.kinds import KINDS, is_filter
from events.log.follower import Follower, pages
from events.log.port import Recorded
from events.log.reader import SqliteReader, open_reader
from events.times import rfc3339
from projections.query import ids
from projections.query.times import human_bytes, parse_moment
from service.cli.command import command
from service.cli.commands import verification
from service.cli.commands.append import append
from service.cli.options import FILTERS, Data, Json
from service.cli.output.documents import write_json
from service.cli.output.event_lines import EventFilter, event_document, event_line
from service.cli.output.render import console, pairs, writing_on
from service.cli.output.streams import json_text, write_data
from service.cli.source.folder import data_folder

app = typer.Typer(no_args_is_help=True, help="Read, follow, check and add to the event log.")
app.command()(append)

Lines = Annotated[bool, typer.Option("--json", help="Write JSON lines, also to a terminal.")]


@dataclass(frozen=True)
class Wanted:
    """Which events."""

    kind: Annotated[
        str | None,
        typer.Option(
            "--kind",
            metavar="KIND",
            help="Only span, log, attempt_abandoned, fact, unknown, or a fact's own kind.",
            rich_help_panel=FILTERS,
        ),
    ] = None
    trace: Annotated[
        str | None,
        typer.Option("--trace", metavar="ID", help="Only this trace.", rich_help_panel=FILTERS),
    ] = None
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="ID", help="Only this task.", rich_help_panel=FILTERS),
    ] = None
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", metavar="NAME", help="Only this tenant.", rich_help_panel=FILTERS),
    ] = None

    def filter(self) -> EventFilter:
        """The filter these options name."""
        if self.kind is not None and not is_filter(self.kind):
            raise BadInput(
                f"--kind {self.kind}: no kind of event; there are {', '.join(KINDS)}, and the "
                "kinds of facts, such as acme.deployed"
            )
        traces = () if self.trace is None else ids.trace_ids(self.trace, "--trace")
        return EventFilter(self.kind, traces, self.task, self.tenant)


@app.command()
@command
def head(data: Data = None, as_json: Json = False) -> None:
    """Print the end of the log as an anchor, POSITION:HASH, for a later `log verify --anchor`.

    Examples:

        spanledger log head >> /safe/place/anchors
    """
    with closing(open_reader(data_folder(data))) as reader:
        end = reader.head()
        if as_json:
            committed = rfc3339(end.committed_ns) if end.position else None
            write_json(
                {
                    "position": str(end.position),
                    "hash": end.hash.hex(),
                    "log_id": reader.log_id,
                    "committed_at": committed,
                }
            )
        else:
            typer.echo(f"{end.position}:{end.hash.hex()}")


@app.command()
@command
def read(
    wanted: Wanted,
    data: Data = None,
    after: Annotated[
        int, typer.Option("--after", min=0, metavar="POSITION", help="Only after this position.")
    ] = 0,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="TIME", help="Only committed since: RFC 3339 or an age."),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Only committed before: RFC 3339 or an age."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", "-n", min=1, help="At most this many.")
    ] = None,
    as_json: Lines = False,
) -> None:
    """Print events in commit order: JSON lines, or short lines on a terminal without --json.

    Examples:

        spanledger log read --json --since 1h --kind span

        spanledger log read --after 120000 --task nightly-report --limit 10
    """
    now_ns = time.time_ns()
    with closing(open_reader(data_folder(data))) as reader:
        if since is not None:
            after = max(after, reader.position_at(0, parse_moment(since, now_ns)))
        last = None if until is None else reader.position_at(0, parse_moment(until, now_ns))
        events = _events(reader, after, last, wanted.filter())
        _print(itertools.islice(events, limit), as_json)


@app.command()
@command
def tail(
    wanted: Wanted,
    data: Data = None,
    after: Annotated[
        int | None,
        typer.Option(
            "--after", min=0, metavar="POSITION", help="From this position on, not from the end."
        ),
    ] = None,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, help="Begin with the last so many events.")
    ] = 0,
    as_json: Lines = False,
) -> None:
    """Print events as they are committed, until Ctrl-C; restarts of the service don't end it.

    Examples:

        spanledger log tail

        spanledger log tail --json --task nightly-report | jq .event.name
    """
    folder = data_folder(data)
    reader = open_reader(folder)
    start = max(reader.head().position - lines, 0) if after is None else after
    with closing(Follower(folder, reader, start)) as follower:
        chosen = wanted.filter()
        try:
            for page in follower:
                _print((event for event in page.recorded() if chosen.takes(event)), as_json)
                sys.stdout.flush()
        except KeyboardInterrupt:
            return


@app.command()
@command
def verify(
    data: Data = None,
    anchor: Annotated[
        str | None,
        typer.Option(
            "--anchor", metavar="POSITION:HASH", help="The log must contain this anchor, too."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="POSITION:HASH", help="Walk from this anchor, not the beginning."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Walk the hash chain and say where it breaks; exit code 5 if it does.

    Also compares the log with its recorded head, and with what views and targets have seen.

    Examples:

        spanledger log verify

        spanledger log verify --anchor "$(tail -n 1 /safe/place/anchors)"
    """
    anchors = [verification.parse_anchor(text) if text else None for text in (anchor, start)]
    verification.run(data_folder(data), anchors[0], anchors[1], as_json=as_json)


@app.command()
@command
def stats(data: Data = None, as_json: Json = False) -> None:
    """Show the size of the log.

    Examples:

        spanledger log stats --json
    """
    document = stats_document(data_folder(data))
    if as_json:
        write_json(document)
        return
    shown = dict(document)
    shown |= {name: human_bytes(shown[name]) for name in ("bytes", "payload_bytes", "id_bytes")}
    out = console()
    out.print(pairs(shown, writing_on(out)))


def stats_document(folder: Path) -> dict[str, Any]:
    """Events, head, segments, bytes on disk, first and last commit time, and more."""
    with closing(open_reader(folder)) as reader:
        counted, end = reader.stats(), reader.head()
        log_id = reader.log_id
    files = [folder / f"ledger.db{suffix}" for suffix in ("", "-wal")]
    size_bytes = sum(file.stat().st_size for file in files if file.exists())
    return {
        "events": counted.events,
        "head": str(end.position),
        "segments": counted.segments,
        "bytes": size_bytes,
        "first_time": rfc3339(counted.first_ns) if counted.events else None,
        "last_time": rfc3339(counted.last_ns) if counted.events else None,
        "payload_bytes": counted.payload_bytes,
        "id_bytes": counted.id_bytes,
        "bytes_per_event": round(size_bytes / counted.events, 1) if counted.events else None,
        "log_id": log_id,
        "hash": end.hash.hex(),
    }


def _events(
    reader: SqliteReader, after: int, last: int | None, chosen: EventFilter
) -> Iterator[Recorded]:
    for page in pages(reader, after):
        for event in page.recorded():
            if last is not None and event.position > last:
                return
            if chosen.takes(event):
                yield event


def _print(events: Iterator[Recorded], as_json: bool) -> None:
    if not as_json and sys.stdout.isatty():
        out = console()
        for event in events:
            out.print(event_line(event), no_wrap=True, overflow="ellipsis")
        return
    for event in events:
        write_data(json_text(event_document(event)) + "\n")
