"""The guide is true: its programs run, and it names what there is."""

import re
from pathlib import Path

import pytest

from spanledger_sdk import names
from spanledger_sdk.testing import capture

GUIDE = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
WORDS = [
    value
    for key, value in vars(names).items()
    if key.isupper() and isinstance(value, str) and "." in value and key != "VERSION"
]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_each_program_runs_and_makes_attempts(program: str) -> None:
    """As it stands in the page."""
    with capture() as seen:
        exec(compile(program, "docs/sdk.md", "exec"), {"__name__": "guide"})
    assert seen.attempts or "capture" in program


@pytest.mark.parametrize("word", WORDS)
def test_each_name_on_the_wire_is_told(word: str) -> None:
    """An attribute or event that is sent is in the page."""
    assert f"`{word}`" in GUIDE
