"""What the commands of policies share: which file, and which case."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from projections.policies.resolving import PolicySet
from service.cli.options import WHERE, Data
from service.cli.source.folder import data_folder
from service.policies.in_force import policies_of

Policies = Annotated[
    Path | None,
    typer.Option(
        "--policies",
        metavar="FILE",
        help="A policy file; what is in force in the data folder if not given.",
        rich_help_panel=WHERE,
    ),
]


@dataclass(frozen=True)
class CaseOptions:
    """Where something failed."""

    component: Annotated[
        str, typer.Option("--component", metavar="NAME", help="The `service.name` that it runs in.")
    ] = ""
    task: Annotated[str, typer.Option("--task", metavar="ID", help="The task's id.")] = ""
    environment: Annotated[
        str,
        typer.Option(
            "--environment", "-e", metavar="NAME", help="The `deployment.environment.name`."
        ),
    ] = ""


def chosen(policies: Path | None, data: Data) -> PolicySet:
    """The policies of a file, or those of the data folder."""
    return policies_of(data_folder(data), policies)
