"""Pages about orchestrators: one for each rule file, and what they say is so."""

import re
import tomllib
from pathlib import Path

import pytest

from projections.mapping.rules.files import builtin_rules
from projections.mapping.rules.ruleset import RuleSet, content_of

DOCS = Path(__file__).parents[2] / "docs"
PAGES = sorted((DOCS / "orchestrators").glob("*.md"))
RULES = builtin_rules()


def test_each_rule_file_names_its_page() -> None:
    """The first line of a file leads to a page that exists, and each page has a file."""
    folder = DOCS.parent / "projections" / "mapping" / "builtin"
    named = set()
    for path in folder.glob("*.toml"):
        found = re.search(r"docs/orchestrators/(\S+)\.md", path.read_text("utf-8"))
        if path.name != "spanledger.toml":
            assert found, path.name
            named.add(found[1])
    assert named == {page.stem for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_rules_that_a_page_names_exist(page: Path) -> None:
    """Every rule that `show` is told for is one of the package."""
    text = page.read_text("utf-8")
    named = re.findall(r"`([\w.-]+)`", text.split("mappings show RULE")[1])
    assert named
    assert set(named) <= set(RULES.by_id)


@pytest.mark.parametrize("page", [*PAGES, DOCS / "mappings.md"], ids=lambda page: page.stem)
def test_rules_in_a_page_are_rules(page: Path) -> None:
    """Whole rule files shown in a page can be used as they stand."""
    for block in re.findall(r"```toml\n(.*?)```", page.read_text("utf-8"), re.S):
        if "[[rule]]" in block:
            RuleSet(content_of([(page.name, tomllib.loads(block))]))
