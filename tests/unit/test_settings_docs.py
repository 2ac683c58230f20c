"""docs/settings.md knows every setting with its variable, default and sentence."""

from pathlib import Path

import pytest

from service.cli.commands.serve import _PANELS
from service.configuration.reading import FIELDS

PAGE = (Path(__file__).parents[2] / "docs" / "settings.md").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_each_setting_is_in_the_page(name: str) -> None:
    """The page says of each setting what the program says, which takes it as an option."""
    field = FIELDS[name]
    assert any(name in names for names in _PANELS.values()), "no option of `serve`"
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{field.option}`"))
    assert f"| `{field.variable}` |" in row
    assert row.endswith(f"| {field.sentence} |")
    if isinstance(field.default, int | float) and not isinstance(field.default, bool):
        assert f"| `{field.default}` |" in row
