"""`spanledger mappings explain` and `unmatched`: the rules in force, looked at through the log."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from projections.mapping.rules.files import builtin_rules
from projections.mapping.rules.ruleset import RuleSet
from projections.query.table import Column, Kind
from projections.trial import TENANT, try_rules
from service.cli.command import command
from service.cli.mapping.logged import last_rows, rows_of_trace
from service.cli.mapping.rules import UNMATCHED, draw_trial, trial_document
from service.cli.options import WHERE, Data, Form
from service.cli.output.documents import Document, drawing_of_list, write
from service.cli.output.render import console, grid
from service.cli.source.folder import existing_folder
from service.mappings.in_force import read

EVENTS: Final = 100_000
WORDS: Final = (
    Column("word", "word", narrow=16),
    Column("rule", "rule", narrow=16),
    Column("attempts", "attempts", Kind.COUNT),
)
Tenant = Annotated[
    str, typer.Option("--tenant", metavar="NAME", help="Whose events.", rich_help_panel=WHERE)
]


def rules_in_force(data: Path) -> RuleSet:
    """Those of a folder; before its first start, those of the package."""
    held = read(data)
    return builtin_rules() if held is None else held.rules


@command
def explain(
    form: Form,
    trace_id: Annotated[
        str, typer.Argument(metavar="TRACE_ID", help="A trace in the log, as any tool shows it.")
    ],
    data: Data = None,
    tenant: Tenant = TENANT,
) -> None:
    """Tell of a trace which rule took each span, where each field came from, what was concluded.

    The rules are those in force; only spans of the trace itself are looked at.

    Examples:

        spanledger mappings explain 5b8efff798038103d269b633813fc60c
    """
    folder = existing_folder(data)
    trial = try_rules(rules_in_force(folder), rows_of_trace(folder, tenant, trace_id))
    document = trial_document(trial, explain=True)
    write(lambda: document, form, draw_trial)


@command
def unmatched(
    form: Form,
    data: Data = None,
    tenant: Tenant = TENANT,
    events: Annotated[
        int,
        typer.Option(
            "--events",
            metavar="NUMBER",
            min=1,
            help="So many of the log's last events count.",
        ),
    ] = EVENTS,
) -> None:
    """List what no rule in force takes, by scope and name, and words that no rule knows.

    Examples:

        spanledger mappings unmatched --events 10000
    """
    folder = existing_folder(data)
    trial = try_rules(rules_in_force(folder), last_rows(folder, tenant, events))
    items: list[dict[str, Any]] = [
        {"scope": one.scope, "name": one.name, "spans": one.spans} for one in trial.unmatched
    ]
    words = [
        {"word": one.word, "rule": one.rule, "attempts": one.attempts}
        for one in trial.unknown_words
    ]
    document: dict[str, Any] = {"items": items, "words": words, "next": None}
    write(lambda: document, form, _draw_unmatched)


def _draw_unmatched(document: Document) -> RenderableType:
    drawn = drawing_of_list(UNMATCHED, "every span is taken by a rule")(document)
    if not document["words"]:
        return drawn
    words = grid(WORDS, document["words"], console())
    return Group(drawn, Text(""), Text("no word for a result:"), words)
