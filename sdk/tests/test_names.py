"""What is spelt in two places is spelt alike."""

import tomllib
from pathlib import Path

import pytest

from events import names as ledger
from spanledger_sdk import names

ROOT = Path(__file__).parents[2]
OURS = {key: value for key, value in vars(names).items() if key.isupper()}


@pytest.mark.parametrize("name", sorted(OURS.keys() & vars(ledger).keys()))
def test_the_ledger_spells_it_alike(name: str) -> None:
    """A constant of one name has one value."""
    assert OURS[name] == getattr(ledger, name)


def test_what_the_ledger_reads_can_be_sent() -> None:
    """Each of its `task.*` names is one of the SDK's, but for what only importers say."""
    read = {value for key, value in vars(ledger).items() if key.startswith("TASK_")}
    assert read - set(OURS.values()) == {"task.backfilled", "task.idempotency_key"}


def test_the_version_is_the_distributions() -> None:
    """In the module as in `pyproject.toml`."""
    project = tomllib.loads((ROOT / "sdk" / "pyproject.toml").read_text())["project"]
    assert project["version"] == names.VERSION
