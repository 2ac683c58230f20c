"""What is private goes, and what only looks so stays: lines from logs, traces and settings."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.otlp.scrub.replacer import Replacer, scrub_rules

DATA = Path(__file__).parents[1] / "data" / "privacy"
REPLACER = Replacer(scrub_rules(uuids=False))
MARKED = re.compile("⟦(.*?)⟧")


def lines(name: str) -> list[str]:
    text = (DATA / name).read_text()
    return [line for line in text.splitlines() if line and not line.startswith("# ")]


def scrubbed(text: str) -> str:
    REPLACER.begin()
    return REPLACER.replace(text, set())


@pytest.mark.parametrize("line", lines("private.txt"))
def test_private_data_goes(line: str) -> None:
    """Nothing is left of what stands between the brackets."""
    text = scrubbed(MARKED.sub(r"\1", line))
    assert not [private for private in MARKED.findall(line) if private in text]


@pytest.mark.parametrize("line", lines("alike.txt"))
def test_look_alikes_stay(line: str) -> None:
    """The line is left as it is."""
    assert scrubbed(line) == line


@given(st.sampled_from(lines("private.txt")), st.sampled_from(lines("alike.txt")))
def test_neighbours_do_not_matter(private: str, alike: str) -> None:
    """Behind a look-alike, on a line of its own, private data goes just the same."""
    before = scrubbed(MARKED.sub(r"\1", private))
    assert scrubbed(alike + "\n" + MARKED.sub(r"\1", private)) == alike + "\n" + before


@given(st.sampled_from(lines("private.txt")).map(lambda line: MARKED.sub(r"\1", line)))
def test_what_was_scrubbed_is_clean(text: str) -> None:
    """A second look finds nothing more."""
    once = scrubbed(text)
    assert scrubbed(once) == once
