"""`spanledger scrub`: try what would be stored in place of private data."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Annotated

import msgspec
import typer

from events.errors import BadInput
from service.cli.command import command
from service.cli.options import Data
from service.cli.output.streams import json_text, write_data
from service.configuration.reading import load
from service.configuration.settings import Settings
from service.mappings.in_force import whole_keys
from service.otlp.scrub.replacer import Replacer, scrub_rules
from service.otlp.scrub.scrubber import Scrubber, check_denied

INPUT_BYTES = 16 << 20
"""Longest line, or whole text, that is read."""

app = typer.Typer(no_args_is_help=True, help="Try what is scrubbed before it is stored.")


@app.callback()
def _group() -> None:
    """A group, though it has one command: others may come."""


@dataclass(frozen=True)
class Rules:
    """The settings of scrubbing, as `spanledger serve` has them."""

    scrub_uuids: Annotated[
        bool | None, typer.Option("--scrub-uuids/--no-scrub-uuids", help="Remove UUIDs as well.")
    ] = None
    scrub_patterns: Annotated[
        list[str] | None,
        typer.Option("--scrub-patterns", metavar="RE2", help="What is private here; repeatable."),
    ] = None
    scrub_allow: Annotated[
        list[str] | None,
        typer.Option("--scrub-allow", metavar="RE2", help="What only looks private; repeatable."),
    ] = None
    scrub_deny: Annotated[
        list[str] | None,
        typer.Option("--scrub-deny", metavar="KEY", help="Keys whose values go; repeatable."),
    ] = None


@app.command("test")
@command
def try_lines(
    rules: Rules,
    whole: Annotated[
        bool, typer.Option("--whole", help="Take all input as one text, such as a key file.")
    ] = False,
    key: Annotated[
        str | None, typer.Option("--key", metavar="KEY", help="Lines are values of this attribute.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write a line of text and kinds for each.")
    ] = False,
    config: Annotated[
        str | None, typer.Option("--config", metavar="FILE", help="Settings as TOML.")
    ] = None,
    data: Data = None,
) -> None:
    """Read lines from standard input and write them as they would be stored.

    Examples:

        echo 'mail bob@example.com' | spanledger scrub test

        spanledger scrub test --key user.name --scrub-deny 'user.*' < names.txt

        spanledger scrub test --json --scrub-patterns 'ACME-[0-9]{6}' < app.log
    """
    folder = None if data is None else str(data)
    settings = load(asdict(rules) | {"config": config, "data": folder}, os.environ)
    scrub = _of_text(settings) if key is None else _of_value(settings, key)
    for text in _texts(whole):
        kinds: set[str] = set()
        scrubbed = scrub(text, kinds)
        if as_json:
            write_data(json_text({"text": scrubbed, "kinds": sorted(kinds)}) + "\n")
        else:
            typer.echo(scrubbed)


_Scrub = Callable[[str, set[str]], str]
"""A text as it would be stored; adds the kinds of what was replaced."""


def _of_text(settings: Settings) -> _Scrub:
    """What becomes of a text that stands anywhere."""
    replacer = Replacer(
        scrub_rules(
            uuids=settings.scrub_uuids,
            patterns=settings.scrub_patterns,
            allowed=settings.scrub_allow,
        )
    )

    def scrub(text: str, kinds: set[str]) -> str:
        replacer.begin()
        return replacer.replace(text, kinds)

    return scrub


def _of_value(settings: Settings, key: str) -> _Scrub:
    """What becomes of it as the value of an attribute, by the rules in force.

    Raises:
        BadSetting: the settings deny a key that these need.
    """
    whole = whole_keys(settings.data, settings.mappings)
    check_denied(settings, whole)
    scrubber = Scrubber.of(msgspec.structs.replace(settings, scrub=True), whole)
    assert scrubber is not None
    return partial(scrubber.value, key)


def _texts(whole: bool) -> Iterator[str]:
    """The lines of standard input, or all of it; bytes that are no UTF-8 become U+FFFD."""
    read = sys.stdin.buffer.read if whole else sys.stdin.buffer.readline
    while data := read(INPUT_BYTES + 1):
        if len(data) > INPUT_BYTES:
            raise BadInput(f"a text of more than {INPUT_BYTES >> 20} MiB is not read")
        yield data.decode(errors="replace").removesuffix("\n")
