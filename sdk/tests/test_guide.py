"""The guide is true: its programs run, and it names what there is."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from spanledger_sdk import names
from spanledger_sdk.settings import Settings
from spanledger_sdk.testing import capture
from tests.serving import clean_environment

GUIDE = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text("utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", GUIDE, re.S)
WORDS = [
    value
    for key, value in vars(names).items()
    if key.isupper() and isinstance(value, str) and "." in value and key != "VERSION"
]


@pytest.mark.parametrize("program", PROGRAMS, ids=range(len(PROGRAMS)))
def test_each_program_runs_and_makes_attempts(program: str) -> None:
    """As it stands in the page; those that set something up make none."""
    if "configure(" in program or "Lifecycle" in program:
        env = clean_environment({"SPANLEDGER_SDK_SPOOL": "off"})
        done = subprocess.run([sys.executable, "-W", "error", "-c", program], env=env, check=False)
        assert done.returncode == 0
        return
    with capture() as seen:
        exec(compile(program, "docs/sdk.md", "exec"), {"__name__": "guide"})
    assert seen.attempts or "capture" in program


@pytest.mark.parametrize("name", Settings.__dataclass_fields__)
def test_each_setting_is_told(name: str) -> None:
    """By its variable, with its default."""
    row = next(line for line in GUIDE.splitlines() if line.startswith(f"| `{name.upper()}`"))
    default = getattr(Settings(), name)
    if default and not isinstance(default, tuple):
        text = f"{default:g}" if isinstance(default, float) else str(default)
        assert f"`{text}`" in row.replace("`false`", "`False`")


@pytest.mark.parametrize("word", WORDS)
def test_each_name_on_the_wire_is_told(word: str) -> None:
    """An attribute or event that is sent is in the page."""
    assert f"`{word}`" in GUIDE
