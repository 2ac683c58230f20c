"""Files as editors of Windows save them: UTF-8 with a mark at the beginning."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from projections.errors.classify.rule import read_rule_file
from projections.mapping.rules.files import load_rules
from projections.policies.reading import read_policy_file
from service.alerts import file as alerts_file
from service.configuration import reading

RULE = """version = 1
[[rule]]
id = "shop.step"
match = { name = "step" }
role = "ignore"
"""
READERS: dict[str, Callable[[Path], Any]] = {
    "policies": read_policy_file,
    "alerts": alerts_file.load,
    "errors": read_rule_file,
    "mappings": lambda path: load_rules(extra=[path]),
    "settings": lambda path: reading.load({"config": path}, {}),
}


@pytest.mark.parametrize("name", READERS)
def test_a_mark_at_the_beginning_is_none_of_the_text(tmp_path: Path, name: str) -> None:
    """What is said behind it counts as it stands."""
    path = tmp_path / f"{name}.toml"
    path.write_text(RULE if name == "mappings" else "# nothing of its own\n", "utf-8-sig")
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    READERS[name](path)
