"""`spanledger mappings list`, `show` and `check`: rule files, without a log or a service."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Group, RenderableType
from rich.text import Text

from events.errors import BadInput, NotFound
from projections.mapping.rules.files import load_rules
from projections.mapping.rules.problems import near
from projections.mapping.rules.rule import Role, Rule
from projections.mapping.rules.ruleset import RuleSet
from projections.query.table import Column, Kind
from projections.trial import TENANT, Row, Trial, try_rules
from service.cli.command import command
from service.cli.mapping.capture import capture_rows
from service.cli.mapping.logged import rows_of_trace
from service.cli.options import OUTPUT, WHERE, Data, Form
from service.cli.output.documents import Document, drawing_of_list, write
from service.cli.output.render import console, grid, pairs, writing_on
from service.cli.source.folder import existing_folder

RULES: Final = (
    Column("rule", "id", narrow=16),
    Column("role", "role"),
    Column("system", "system", drop=2),
    Column("version", "version", Kind.COUNT, drop=3),
    Column("file", "file", drop=1, narrow=20),
)
ATTEMPTS: Final = (
    Column("system", "system", drop=3),
    Column("task", "task_id", narrow=14),
    Column("run", "run_id", narrow=10),
    Column("n", "attempt", Kind.COUNT),
    Column("status", "status", Kind.STATUS),
    Column("error type", "error_type", drop=2, narrow=12),
    Column("rule", "rule", drop=4),
    Column("inferred", "inferred_fields", drop=5),
)
UNMATCHED: Final = (
    Column("scope", "scope", narrow=20),
    Column("name", "name", narrow=20),
    Column("spans", "spans", Kind.COUNT),
)
Mappings = Annotated[
    Path | None,
    typer.Option(
        "--mappings",
        envvar="SPANLEDGER_MAPPINGS",
        metavar="DIR",
        help="A directory with rule files of your own; their rules come before the built-in ones.",
        rich_help_panel=WHERE,
    ),
]


@command
def list_rules(form: Form, mappings: Mappings = None) -> None:
    """List the rules of a directory and the built-in ones, in order: the first that matches counts.

    Examples:

        spanledger mappings list

        spanledger mappings list --mappings ./mappings
    """
    rules = load_rules(mappings)
    items = [_brief(rule) for rule in rules.rules]
    write(lambda: {"items": items, "digest": rules.digest, "next": None}, form,
          drawing_of_list(RULES, "no rules"))  # fmt: skip


@command
def show(
    form: Form,
    rule: Annotated[str, typer.Argument(metavar="RULE", help="Its id in the list.")],
    mappings: Mappings = None,
) -> None:
    """Show one rule whole.

    Examples:

        spanledger mappings show celery.run
    """
    rules = load_rules(mappings)
    found = rules.by_id.get(rule)
    if found is None:
        raise NotFound(f"there is no rule {rule!r}{near(rule, rules.by_id)}")
    document = _whole(found, rules)

    def draw(_: Document) -> RenderableType:
        facts = {name: _text(value) for name, value in document.items()}
        return pairs(facts, writing_on(console()))

    write(lambda: document, form, draw)


@command
def check(
    form: Form,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]", help="The rule file to check; with --against it may be left out."
        ),
    ] = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            "--against",
            metavar="CAPTURE|TRACE_ID",
            help="OTLP in a file (protobuf, JSON, or lines of JSON), or a trace in the log: show"
            " the attempts that the rules would give. May be repeated.",
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", help="Tell for each span where each field came from.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    mappings: Mappings = None,
    data: Data = None,
) -> None:  # fmt: skip
    """Check a rule file, and try it on what an orchestrator sent.

    Exit code 2 if the file cannot be used; every problem is told with its rule and key.

    Examples:

        spanledger mappings check mine.toml

        spanledger mappings check mine.toml --against traces.json --against logs.json

        spanledger mappings check --against traces.json
    """
    if file is None and not against:
        raise BadInput("name a rule file, or a capture with --against")
    rules = load_rules(mappings, _extra(file, mappings))
    own = [one for one in rules.rules if one.file == str(file)]
    if not against:
        document: dict[str, Any] = {"items": [_brief(one) for one in own], "digest": rules.digest}
        write(lambda: document, form, drawing_of_list(RULES, "no rules"))
        return
    trial = try_rules(rules, _tried_rows(against, data))
    document = trial_document(trial, explain)
    write(lambda: document, form, draw_trial)


def _tried_rows(against: list[str], data: Path | None) -> list[Row]:
    """The spans and records of captures, and of traces in the log."""
    captures = [Path(one) for one in against if "." in one or "/" in one or Path(one).exists()]
    traces = [one for one in against if Path(one) not in captures]
    rows = capture_rows(captures)
    for trace_id in traces:
        rows += rows_of_trace(existing_folder(data), TENANT, trace_id)
    return rows


def _extra(file: Path | None, mappings: Path | None) -> list[Path]:
    """The file, unless it is one of the directory's anyway."""
    if file is None:
        return []
    if mappings is not None and file.resolve().parent == mappings.resolve():
        return []
    return [file]


def _brief(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id, "role": Role(rule.role).name.lower(), "system": rule.system,
        "version": rule.version, "file": rule.file,
    }  # fmt: skip


def _whole(rule: Rule, rules: RuleSet) -> dict[str, Any]:
    """A rule as its file writes it, with what it takes over."""
    table = next(one for one in rules.content["rules"] if one.get("id") == rule.id)
    return {**_brief(rule), **table}


def _text(value: Any, limit_chars: int = 10_000) -> str:
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    return text if len(text) <= limit_chars else f"{text[:limit_chars]} …"


def trial_document(trial: Trial, explain: bool) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(trial)
    document["items"] = document.pop("attempts")
    if not explain:
        del document["spans"]
    return with_inferred(document)


def with_inferred(document: Document) -> dict[str, Any]:
    """The document, whose attempts say in one text what was concluded."""
    items = [
        one | {"inferred_fields": ", ".join(one["inferred"]) or None} for one in document["items"]
    ]
    return {**document, "items": items}


def draw_trial(document: Document) -> RenderableType:
    out = console()
    items, by_rule = document["items"], document["by_rule"]
    parts: list[RenderableType] = [
        grid(ATTEMPTS, items, out) if items else Text("no attempts", style="dim"),
        Text(""),
        Text(f"{document['rows']} spans and records, by rule:"),
        pairs({name: str(count) for name, count in by_rule.items()}, writing_on(out)),
    ]
    if document["queued"]:
        parts.append(Text(f"runs that were queued and never ran: {document['queued']}"))
    if document["unmatched"]:
        parts += [Text(""), Text("no rule takes:"), grid(UNMATCHED, document["unmatched"], out)]
    for span in document.get("spans", ()):
        parts += [Text(""), *_draw_span(span)]
    return Group(*parts)


def _draw_span(span: Mapping[str, Any]) -> list[RenderableType]:
    """A span and where its fields came from."""
    head = f"{span['name']}  {span['span_id']}  {span['rule'] or 'no rule'}"
    told = {one["field"]: f"{_text(one['value'], 200)}  ← {one['source']}"
            + (f" ({one['rule']})" if one["rule"] else "") for one in span["fields"]}  # fmt: skip
    facts = {"run": f"{span['task_id']} {span['run_id']}"} if span["run_id"] else {}
    facts |= {"status": "; ".join(span["statuses"])} if span["statuses"] else {}
    facts |= {"inferred": ", ".join(span["inferred"])} if span["inferred"] else {}
    return [Text(head, style="bold"), pairs(facts | told, writing_on(console()))]
