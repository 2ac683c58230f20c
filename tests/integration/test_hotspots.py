"""Where attempts fail, how components do, and what another version of fingerprints would change."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from projections.queries import Queries
from service.cli.main import app
from tests.events import BASE_NS, SECOND_NS, make_batch, make_context, make_exception, make_span
from tests.views import make_folder

HOUR_NS = 3600 * SECOND_NS
STACK = (
    'Traceback (most recent call last):\n  File "/app/shop/pay.py", line {line}, in pay\n'
    "    raise ValueError(x)\nValueError: {message}"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two components: billing failed in one of four attempts, search in none."""
    batches = []
    for number in range(8):
        failed = number % 4 == 0
        message = f"no such order in shop {'east' if number else 'west'}"
        event = make_exception("ValueError", message, STACK.format(line=number, message=message))
        at_ns = BASE_NS + number * SECOND_NS
        span = make_span(
            task="pay", run=f"r{number}", attempt=1, start_ns=at_ns, end_ns=at_ns + 1,
            status_code=2 if failed else 1, events=[event] if failed else [],
        )  # fmt: skip
        resource = {"service.name": "billing", "service.version": "2.0" if failed else "1.0"}
        batches.append(make_batch([span], context=make_context(resource_attributes=resource)))
        other = make_span(task="find", run=f"s{number}", start_ns=at_ns, end_ns=at_ns + 1)
        batches.append(make_batch([other], context=make_context(service="search")))
    return make_folder(tmp_path_factory.mktemp("hot"), batches)


@pytest.fixture(scope="module")
def queries(data: Path) -> Iterator[Queries]:
    """Half an hour after the first attempt."""
    with closing(Queries(data, clock=lambda: BASE_NS + HOUR_NS // 2)) as queries:
        yield queries


def items(queries: Queries, path: str, **asked: str) -> list[Any]:
    """The items of an answer."""
    found: list[Any] = queries.answer(path, asked).items  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize(("by", "key"), [("component", "billing"), ("task", "pay")])
def test_the_place_with_failures_is_told(queries: Queries, by: str, key: str) -> None:
    """With its rate against that of all."""
    (one,) = items(queries, "hotspots", by=by)
    assert (one.key, one.failures, one.attempts, one.failure_rate) == (key, 2, 8, 0.25)
    assert (one.share, one.lift, one.patterns) == (1.0, 2.0, 2)


@pytest.mark.parametrize("until", ["0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z"])
def test_a_time_before_all_has_no_places(queries: Queries, until: str) -> None:
    """The day before it may be none that can be counted."""
    assert items(queries, "hotspots", until=until) == []


def test_versions_are_read_from_the_log(queries: Queries) -> None:
    """All failures are of one version."""
    (one,) = items(queries, "hotspots", by="version")
    assert (one.key, one.failures, one.attempts) == ("2.0", 2, 2)


def test_components_have_a_score_with_its_reasons(queries: Queries) -> None:
    """The worst first; the other one lost nothing."""
    billing, search = items(queries, "health/components")
    assert (billing.component, search.component) == ("billing", "search")
    assert [(one.name, one.points) for one in billing.deductions] == [
        ("runs lost", 25.0), ("failing attempts", 20.0), ("new errors", 10.0),
    ]  # fmt: skip
    assert (billing.score, search.score, search.deductions) == (45.0, 100.0, [])
    assert (billing.risk.expected, search.risk.probability) == (1.04, 0.0)


def test_a_version_that_merges_says_which(queries: Queries) -> None:
    """Version 1 knew frames only; by version 2 what is said counts, too."""
    found: Any = queries.answer("errors/compare", {"old": "1", "new": "2"})
    assert (found.signatures, found.before, found.after) == (2, 1, 2)
    (split,) = found.split
    assert len(split.others) == 2
    assert found.merged == []
    back: Any = queries.answer("errors/compare", {"old": "2", "new": "1"})
    assert [one.others for one in back.merged] == [split.others]


def test_the_command_line_tells_the_same(data: Path) -> None:
    """As tables, and as JSON."""
    where = ["--data", str(data)]
    told = CliRunner().invoke(app, ["errors", "compare", "1", "2", *where])
    assert "2 errors are 1 patterns by version 1, 2 by version 2" in told.stdout
    answer = CliRunner().invoke(app, ["errors", "compare", "1", "2", "--json", *where])
    assert json.loads(answer.stdout)["split_count"] == 1
    hot = CliRunner().invoke(
        app, ["hotspots", "--by", "task", "--since", "2026-05-01T00:00:00Z", "--json", *where]
    )
    assert json.loads(hot.stdout)["items"][0]["key"] == "pay"
