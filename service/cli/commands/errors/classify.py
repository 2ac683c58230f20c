"""`spanledger errors classify`: what is known of errors that are given on standard input."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Group, RenderableType
from rich.text import Text

from events.errors import BadInput
from projections.errors.assessment import Assessment, assess, record_of
from projections.errors.classify.classifier import make_classifier
from projections.errors.fingerprints.versions import CURRENT
from projections.errors.record import Record, of_text
from service.cli.command import command
from service.cli.options import Json
from service.cli.output.render import console
from service.cli.output.streams import json_text, write_data

LINE_LIMIT_BYTES: Final = 16 << 20
_FIELDS: Final = (
    "type", "message", "category", "severity", "transient", "confidence", "reason", "suggestion",
    "fingerprint", "stack_hash",
)  # fmt: skip
_UNKNOWN: Final = "nobody could tell"


@command
def classify(
    rules: Annotated[
        list[Path] | None,
        typer.Option(
            "--rules", metavar="PATH", help="A file or folder of own rules; repeatable. They win."
        ),
    ] = None,
    fingerprint_version: Annotated[
        int,
        typer.Option(
            "--fingerprint-version", metavar="NUMBER", help="Which version makes the fingerprint."
        ),
    ] = CURRENT,
    as_json: Json = False,
) -> None:
    """Say of errors on standard input what they are, and why.

    Reads JSON lines with type, message, stacktrace and attributes, or one error as a program
    prints it. Needs neither a log nor a service. With --json a line is written for each error.

    Examples:

        python job.py 2>&1 >/dev/null | spanledger errors classify

        spanledger errors classify --rules mine.toml --json < failures.jsonl
    """
    classifier = make_classifier(rules or ())
    for record in read_records(sys.stdin.buffer):
        found = assess(record, classifier, fingerprint_version)
        if as_json:
            write_data(json_text(msgspec.to_builtins(found)) + "\n")
        else:
            console().print(_drawn(found))


def read_records(lines: Any) -> Iterator[Record]:
    """The errors of standard input.

    Raises:
        BadInput: a line is no record; the message names line and key. Those before it are given.
    """
    first = lines.readline(LINE_LIMIT_BYTES)
    while first and not first.strip():
        first = lines.readline(LINE_LIMIT_BYTES)
    if not first.lstrip().startswith(b"{"):
        text = (first + lines.read(LINE_LIMIT_BYTES)).decode("utf-8", "replace")
        if not text.strip():
            raise BadInput(
                "standard input holds no error: give JSON lines, or what a program printed"
            )
        yield of_text(text)
        return
    number = 1
    while first:
        if first.strip():
            yield _record(first, number)
        first = lines.readline(LINE_LIMIT_BYTES)
        number += 1


def _record(line: bytes, number: int) -> Record:
    try:
        return record_of(msgspec.json.decode(line.decode("utf-8", "replace"), type=dict[str, Any]))
    except (msgspec.DecodeError, msgspec.ValidationError) as exc:
        raise BadInput(f"line {number}: {exc}") from exc


def _drawn(found: Assessment) -> RenderableType:
    """The fields a line each, then what decided."""
    lines = [_line(name, getattr(found, name)) for name in _FIELDS]
    why = found.why
    lines.append(_line("rule", why.rule))
    lines.append(_line("knew", why.matched))
    lines.append(_line("made of", f"{why.basis}, version {why.version}"))
    for name, value in why.components.items():
        lines.append(_line(f"  {name}", value))
    return Group(*lines, Text(""))


def _line(name: str, value: Any) -> Text:
    if value is None:
        told = _UNKNOWN if name == "transient" else "–"
    elif isinstance(value, bool):
        told = "yes" if value else "no"
    else:
        told = str(value).replace("\n", f"\n{'':14}")
    return Text.assemble((f"{name:>12}  ", "bold"), told)
