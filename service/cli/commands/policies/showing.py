"""`spanledger policies check` and `show`: files, and what holds for a case."""

from pathlib import Path
from typing import Annotated, Any, Final, get_args

import msgspec
import typer
from rich.console import Group, RenderableType
from rich.text import Text

from events.errors import BadInput
from projections.errors.classify.rule import Category
from projections.policies.decision import settings_of
from projections.policies.reading import read_policy_file
from projections.policies.resolving import PolicySet, said
from projections.policies.rule import Case
from projections.query.table import Column, Kind
from service.cli.command import command
from service.cli.commands.policies.options import CaseOptions, Policies, chosen
from service.cli.options import Data, Json
from service.cli.output.documents import write_json
from service.cli.output.render import console, grid, pairs, writing_on
from service.cli.source.folder import data_folder
from service.policies.in_force import file_of

RULES: Final = (
    Column("rule", "id", narrow=12),
    Column("when", "when", narrow=20),
    Column("settings", "settings", narrow=20),
    Column("file", "file", drop=1, narrow=12),
    Column("line", "line", Kind.COUNT, drop=1),
)
_CATEGORIES: Final = get_args(Category)
ErrorPattern = Annotated[
    str | None,
    typer.Option("--error", "--fingerprint", metavar="FINGERPRINT", help="Of an error's pattern."),
]
OfCategory = Annotated[
    str | None,
    typer.Option("--category", metavar="WORD", help=f"One of {', '.join(_CATEGORIES)}."),
]


def category_of(given: str | None) -> Category | None:
    """The category that an option names.

    Raises:
        BadInput: there is none of that name.
    """
    if given is not None and given not in _CATEGORIES:
        raise BadInput(f"--category {given}: no such category; one of {', '.join(_CATEGORIES)}")
    return given  # type: ignore[return-value]


@command
def check(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The file; `policies.toml` of the data folder."),
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Check a policy file: every fault is told with its line, rule and key.

    Needs neither a log nor a service.

    Examples:

        spanledger policies check policies.toml
    """
    path = file_of(data_folder(data), file)
    policies = read_policy_file(path)
    found = {
        "file": str(path),
        "digest": policies.digest,
        "rules": sum(placed.file == str(path) for placed in policies.rules),
        "inherited": sum(placed.file != str(path) for placed in policies.rules),
    }
    if as_json:
        write_json(found)
    else:
        out = console()
        out.print(pairs(found, writing_on(out)))


@command
def show(
    where: CaseOptions,
    error: ErrorPattern = None,
    category: OfCategory = None,
    policies: Policies = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show the rules, the strongest first; or what holds for a case, and by which rules.

    Examples:

        spanledger policies show

        spanledger policies show --category network --component billing -e prod
    """
    rules = chosen(policies, data)
    case = Case(
        fingerprint=error or "", task=where.task, component=where.component,
        environment=where.environment, category=category_of(category) or "unknown",
    )  # fmt: skip
    asked = case != Case() or category is not None
    document = _of_case(rules, case) if asked else _of_rules(rules)
    if as_json:
        write_json(document)
    else:
        console().print(_case(document) if asked else _rules(document))


def _of_rules(policies: PolicySet) -> dict[str, Any]:
    items = [
        {
            "id": placed.rule.id,
            "when": dict(placed.rule.when.asked()),
            "settings": {n: list(v) if isinstance(v, tuple) else v for n, v in said(placed.rule)},
            "file": placed.file,
            "line": placed.line,
        }
        for placed in policies.strongest_first()
    ]
    return {"digest": policies.digest, "items": items}


def _compact(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


def _rules(document: dict[str, Any]) -> RenderableType:
    out = console()
    head = Text.assemble(("policies  ", "bold"), document["digest"])
    return Group(head, Text(""), grid(RULES, document["items"], out))


def _of_case(policies: PolicySet, case: Case) -> dict[str, Any]:
    policy = policies.policy(case)
    return {
        "digest": policies.digest,
        "case": _compact({k: v or None for k, v in msgspec.to_builtins(case).items()}),
        "settings": settings_of(policy),
        "rules": msgspec.to_builtins(policy.origins),
    }


def _case(document: dict[str, Any]) -> RenderableType:
    makers = {
        name: f"{rule['rule']} ({rule['file']}:{rule['line']})"
        for rule in document["rules"]
        for name in rule["settings"]
    }
    rows = [
        {"setting": name, "value": value, "rule": makers.get(name, "")}
        for name, value in document["settings"].items()
    ]
    columns = (Column("setting", "setting"), Column("value", "value"), Column("by", "rule"))
    return grid(columns, rows, console())
