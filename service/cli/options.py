"""The options that several commands share, as records (`service.cli.command` expands them)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from service.cli.source.completion import complete_view

FILTERS = "Filters"
PAGES = "Order and pages"
OUTPUT = "Output"
WHERE = "Where to ask"

Data = Annotated[
    Path | None,
    typer.Option(
        "--data",
        envvar="SPANLEDGER_DATA",
        metavar="DIR",
        help="The data folder; the user's data folder if not given.",
        rich_help_panel=WHERE,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Write one JSON document.", rich_help_panel=OUTPUT)
]
Cursor = Annotated[
    str | None,
    typer.Option(
        "--cursor",
        metavar="CURSOR",
        help="Go on where an answer ended: its `next`.",
        rich_help_panel=PAGES,
    ),
]


@dataclass(frozen=True)
class Where:
    """Which service or folder answers, and for whom."""

    data: Data = None
    url: Annotated[
        str | None,
        typer.Option(
            "--url",
            metavar="URL",
            help="Ask a service over HTTP instead, e.g. http://127.0.0.1:8000.",
            rich_help_panel=WHERE,
        ),
    ] = None
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="SPANLEDGER_TOKEN",
            metavar="TOKEN",
            help="A token for --url.",
            rich_help_panel=WHERE,
        ),
    ] = None
    ca_file: Annotated[
        Path | None,
        typer.Option(
            "--ca-file",
            envvar="SPANLEDGER_CA_FILE",
            metavar="FILE",
            help="PEM file of the CA that an https:// --url is trusted by; else the system's.",
            rich_help_panel=WHERE,
        ),
    ] = None
    cert_file: Annotated[
        Path | None,
        typer.Option(
            "--cert-file",
            envvar="SPANLEDGER_CERT_FILE",
            metavar="FILE",
            help="PEM file of a client certificate, where the service asks for one.",
            rich_help_panel=WHERE,
        ),
    ] = None
    key_file: Annotated[
        Path | None,
        typer.Option(
            "--key-file",
            envvar="SPANLEDGER_KEY_FILE",
            metavar="FILE",
            help="PEM file of its key, unless it is in the same file.",
            rich_help_panel=WHERE,
        ),
    ] = None
    tenant: Annotated[
        str | None,
        typer.Option(
            "--tenant",
            envvar="SPANLEDGER_TENANT",
            metavar="NAME",
            help="Whose records; `default` if not given.",
            rich_help_panel=WHERE,
        ),
    ] = None


@dataclass(frozen=True)
class Asking(Where):
    """Which service or folder answers, and which view of it."""

    view: Annotated[
        str | None,
        typer.Option(
            "--view",
            autocompletion=complete_view,
            metavar="NAME",
            help="A view of the past, made by `projections rebuild --as-of … --view NAME`.",
            rich_help_panel=WHERE,
        ),
    ] = None
    min_position: Annotated[
        str | None,
        typer.Option(
            "--min-position",
            metavar="POSITION",
            help="Wait, bounded, until the views have seen this position.",
            rich_help_panel=WHERE,
        ),
    ] = None

    def of_views(self) -> dict[str, str | None]:
        """What every question to the views takes."""
        return {"view": self.view, "min_position": self.min_position}


@dataclass(frozen=True)
class Form:
    """How the answer is written."""

    as_json: Json = False
    as_csv: Annotated[
        bool,
        typer.Option(
            "--csv", help="Write CSV with every field, nested ones dotted.", rich_help_panel=OUTPUT
        ),
    ] = False
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", "-w", help="Ask again and again until Ctrl-C.", rich_help_panel=OUTPUT
        ),
    ] = False
    every: Annotated[
        float,
        typer.Option(
            "--every",
            metavar="SECONDS",
            min=0.2,
            help="Seconds between two questions of --watch.",
            show_default=True,
            rich_help_panel=OUTPUT,
        ),
    ] = 2.0
