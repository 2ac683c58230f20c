"""docs/cli.md knows every command and every option that is not a setting (docs/settings.md)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from service.cli.main import app
from service.configuration.reading import FIELDS

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
BUILT_IN = {"--help", "--version"}


def commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command below `group` with the words that call it."""
    for name in group.list_commands(typer.Context(group)):
        command = group.get_command(typer.Context(group), name)
        if hasattr(command, "list_commands"):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


EVERY = list(commands(typer.main.get_command(app), "spanledger"))


@pytest.mark.parametrize(("words", "command"), EVERY, ids=[words for words, _ in EVERY])
def test_each_command_and_its_options_are_in_the_page(words: str, command: Any) -> None:
    """A command that the page does not name, or an option, cannot be found by a reader."""
    assert f"`{words}" in PAGE
    options = {name for parameter in command.params for name in parameter.opts if "--" in name}
    settings = {field.option for field in FIELDS.values()}
    assert not {option for option in options - BUILT_IN - settings if option not in PAGE}
