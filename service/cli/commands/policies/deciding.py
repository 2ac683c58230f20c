"""`spanledger policies decide`: what is to be done about an error on standard input."""

import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Group, RenderableType
from rich.text import Text

from events import names
from events.errors import BadInput
from projections.errors.record import Record
from projections.policies.asking import AskedError, DecideQuestion
from projections.queries import Queries
from service.cli.command import command
from service.cli.commands.errors.classify import read_records
from service.cli.commands.policies.options import CaseOptions, Policies, chosen
from service.cli.commands.policies.showing import ErrorPattern, OfCategory, category_of
from service.cli.options import Json, Where
from service.cli.output.documents import write_json
from service.cli.output.render import ABSENT, console, plain
from service.cli.source.folder import data_folder
from service.cli.source.source import open_remote
from service.policies.deciding import Decided, answer
from service.policies.history import TenantHistory

_SHOWN: Final = (
    "retry", "reason", "delay_s", "delay_min_s", "delay_max_s", "repair", "actions", "attempts",
    "max_attempts", "timeout_s", "escalate", "escalate_to", "category", "transient",
    "fingerprint", "suggestion",
)  # fmt: skip


@command
def decide(
    case: CaseOptions,
    where: Where,
    error: ErrorPattern = None,
    category: OfCategory = None,
    transient: Annotated[
        bool | None,
        typer.Option("--transient/--permanent", help="Instead of what rules say of the error."),
    ] = None,
    attempts: Annotated[
        int, typer.Option("--attempts", metavar="NUMBER", min=1, help="Made so far.")
    ] = 1,
    elapsed: Annotated[
        float, typer.Option("--elapsed", metavar="SECONDS", min=0, help="Since the run began.")
    ] = 0.0,
    retry_after: Annotated[
        str | None,
        typer.Option("--retry-after", metavar="VALUE", help="What the peer sent: as in HTTP."),
    ] = None,
    policies: Policies = None,
    as_json: Json = False,
) -> None:
    """Say what is to be done about a failed attempt: again or not, when, how often, by which rule.

    Reads the error from standard input as `errors classify` does, unless --error or --category
    says what it is. Without --url no service is needed.

    Examples:

        python job.py 2>&1 >/dev/null | spanledger policies decide --component billing -e prod

        spanledger policies decide --category network --transient --attempts 2
    """
    said: dict[str, Any] = {
        "fingerprint": error, "category": category_of(category), "transient": transient,
        "attempts": attempts, "elapsed_s": elapsed, "retry_after": retry_after, **asdict(case),
    }  # fmt: skip
    if error is None and category is None:
        said["error"] = _asked(next(read_records(sys.stdin.buffer)))
    question = DecideQuestion(**said)
    if where.url is not None:
        if policies is not None:
            raise BadInput("--policies and --url exclude each other: a service has its own")
        with open_remote(where, where.url) as remote:
            body = {k: v for k, v in msgspec.to_builtins(question).items() if v is not None}
            decision: Mapping[str, Any] = remote.send("policies/decide", body, {})
    else:
        decision = msgspec.to_builtins(_local(question, policies, where))
    if as_json:
        write_json(decision)
    else:
        console().print(_drawn(decision))


def _local(question: DecideQuestion, policies: Policies, where: Where) -> Decided:
    """The decision by the files of the data folder, and by its history if there is any."""
    with closing(Queries(data_folder(where.data))) as queries:
        history = TenantHistory(queries, where.tenant or names.DEFAULT_TENANT)
        return answer(
            question, chosen(policies, where.data), queries.verdicts.classifier(), chances=history,
            look=history.look, past=history.action,
        )  # fmt: skip


def _asked(record: Record) -> AskedError:
    return AskedError(
        type=record.type or None,
        message=record.message,
        stacktrace=record.stacktrace,
        attributes=dict(record.attributes),
    )


def _drawn(decision: Mapping[str, Any]) -> RenderableType:
    lines = [_line(name, decision[name]) for name in _SHOWN]
    if seen := decision["statistics"]:
        lines.append(
            _line(
                "retries",
                f"{seen['succeeded']} of {seen['tried']} succeeded ({seen['basis']}), "
                f"{seen['low']:.0%} to {seen['high']:.0%}",
            )
        )
    for rule in decision["rules"]:
        made = ", ".join(rule["settings"])
        lines.append(_line("rule", f"{rule['rule']} ({rule['file']}:{rule['line']}): {made}"))
    return Group(*lines)


def _line(name: str, value: Any) -> Text:
    if isinstance(value, bool):
        value = "yes" if value else "no"
    told = ABSENT if value in (None, [], ()) else value
    shown = ", ".join(told) if isinstance(told, list) else str(told)
    return Text.assemble((f"{name:>12}  ", "bold"), plain(shown))
