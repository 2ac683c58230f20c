"""Spans that name their task are read by a shorter way, which gives what the rule for them says."""

import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from events.log.memory import MemoryLog
from events.schema import Block, Event
from projections.fold import MAPPINGS, STAGE_NAME, make_fold
from projections.mapping.rules.files import load_rules
from tests.contract.test_fold_properties import spans
from tests.events import BASE_NS, batch_of, make_context
from tests.thorough import examples
from tests.view_rows import SELECTS, rows_of


def as_root(event: Event) -> Event:
    """Without its parent: below another of its run, one that names its task is a mere detail."""
    return replace(event, parent_span_id=b"")


BLOCKS = st.lists(
    st.builds(
        lambda event: Block(
            "default", BASE_NS, make_context(), [replace(event, parent_span_id=b"")]
        ),
        spans(),  # below another of its run, one that names its task is a detail, but no attempt
    ),
    min_size=1,
    max_size=10,
)


class Rules(dict[str, Any]):
    """The configuration of the stage, short in what Hypothesis prints."""

    def __repr__(self) -> str:
        return "by rule"


@pytest.fixture(scope="module")
def by_rule(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    """Rules in which a copy of the built-in one, under another name, comes first."""
    text = (files("projections.mapping.builtin") / "spanledger.toml").read_text("utf-8")
    folder: Path = tmp_path_factory.mktemp("rules")
    (folder / "own.toml").write_text(text.replace('id = "native', 'id = "own'))
    return Rules({STAGE_NAME: {MAPPINGS: load_rules(folder).content}})


def view_of(blocks: list[Block], configured: dict[str, Any] | None) -> sqlite3.Connection:
    log = MemoryLog()
    for block in blocks:
        log.append(batch_of([block]))
    fold = make_fold(None, configured)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    fold.create(connection)
    fold.index(connection)
    fold.apply(connection, log.read(0, 0, limit_segments=10_000))
    return connection


@settings(
    max_examples=examples(200),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(BLOCKS)
def test_the_short_way_is_the_rule(by_rule: Rules, blocks: list[Block]) -> None:
    """Tasks, runs, attempts, errors and figures are the same by either."""
    short, long = view_of(blocks, None), view_of(blocks, by_rule)
    for name in SELECTS:
        assert rows_of(short, name) == rows_of(long, name)
