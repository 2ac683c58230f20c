"""A rule that changes needs a new version: else old rows and new ones stand side by side."""

import json

import pytest

from tests import projection_code

PINNED = json.loads(projection_code.PINNED.read_text("utf-8"))


@pytest.mark.parametrize("name", sorted(projection_code.versions()))
def test_code_and_schema_are_those_of_the_version(name: str) -> None:
    """The digest on record belongs to the version on record."""
    version, digest = PINNED.get(name, (0, ""))
    if projection_code.digests()[name] == digest:
        assert projection_code.versions()[name] == version
        return
    pytest.fail(
        f"The code or the schema of `{name}` changed. If any row may come out otherwise than "
        f"before, raise its `version` (now {projection_code.versions()[name]}, on record "
        f"{version}), so that views are made anew after an upgrade. Then, or if no row can, "
        "pin it: python -m tests.projection_code"
    )


def test_nothing_else_is_pinned() -> None:
    """A projection that is gone leaves the record."""
    assert set(PINNED) == set(projection_code.versions())


def test_what_counts_is_what_decides_rows() -> None:
    """The stage is its whole code; a group's helper counts for the group, its question does not."""
    root = projection_code.ROOT
    shared, metrics = (
        {str(file.relative_to(root)) for file in projection_code.files_of(name)}
        for name in ("facts", "task_metrics")
    )
    assert {"projections/runs/derive.py", "projections/runs/extraction.py"} <= shared
    assert "projections/runs/registry/schema.sql" in shared
    assert {
        "projections/storage/buckets.py",
        "projections/views/task_metrics/schema.sql",
    } <= metrics
    assert not {f for f in metrics | shared if "/question." in f or "/engine/" in f}
    assert not metrics & shared


def test_comments_do_not_count() -> None:
    """Only lines that say something to a machine."""
    file = projection_code.ROOT / "projections/runs/derive.py"
    lines = projection_code._lines(file)
    assert not any(line.lstrip().startswith("#") for line in lines)
    assert len(lines) < len(file.read_text("utf-8").splitlines())
