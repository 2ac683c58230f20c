"""The walk-throughs of docs/contributing.md: their diffs apply, and what they add works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "contributing.md").read_text("utf-8")
COPIED = ("events", "projections", "service", "tests", "docs", "pyproject.toml", "README.md",
          "CHANGELOG.md")  # fmt: skip


DIGESTS = "tests/data/projection_versions.json"


def walk_through(heading: str) -> str:
    """The diffs below a heading of the page, as one."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.S | re.M)
    return "".join(re.findall(r"```diff\n(.*?)```", section, re.S))


def files_of(diff: str) -> set[str]:
    """The files that a diff touches, and the digests that are recorded then."""
    return {DIGESTS, *re.findall(r"^\+\+\+ b/(.+)$", diff, re.M)}


def copy_with(diff: str, folder: Path) -> Path:
    """A copy of the tree with a diff applied, and the digests of its code on record."""
    for name in COPIED:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    applied = subprocess.run(
        ["git", "apply", "-"], cwd=folder, input=diff, capture_output=True, text=True, check=False,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)},
    )  # fmt: skip
    assert applied.returncode == 0, f"refresh the example in the page: {applied.stderr}"
    run(folder, "tests.projection_code")
    return folder


def run(folder: Path, *words: str) -> None:
    """Run a module of a copy, with its own packages."""
    ran = subprocess.run(
        [sys.executable, "-P", "-m", *words],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


def run_tests(folder: Path, *tests: str) -> None:
    """Run tests of a copy."""
    run(folder, "pytest", "-q", "-p", "no:cacheprovider", *tests)


PROJECTION = walk_through("Add a projection, with its question and its command")
FIELD = walk_through("Add a field to an attempt")
DOCUMENTED = "tests/unit/test_docs.py::test_every_{}_is_documented"


def test_a_projection_with_its_question_and_command_is_eight_files() -> None:
    """Its own folder, a line in two pages, a digest; no module that is there is touched."""
    files = files_of(PROJECTION)
    assert len(files - {"tests/integration/test_recoveries.py"}) <= 8
    assert {name for name in files if name.endswith(".py")} == {
        "projections/views/recoveries/__init__.py",
        "projections/views/recoveries/store.py",
        "projections/views/recoveries/question.py",
        "tests/integration/test_recoveries.py",
    }


@pytest.mark.slow
def test_the_example_projection_answers(tmp_path: Path) -> None:
    """Put in place, it is folded, answers over the API and the command line, and is documented."""
    run_tests(
        copy_with(PROJECTION, tmp_path),
        "tests/integration/test_recoveries.py",
        "tests/unit/test_projection_versions.py",
        *(DOCUMENTED.format(what) for what in ("command", "option", "route", "parameter")),
    )


def test_a_field_of_an_attempt_is_four_files() -> None:
    """Its name, its declaration, its line in the page, and a digest."""
    assert len(files_of(FIELD)) <= 4


@pytest.mark.slow
def test_the_example_field_is_answered(tmp_path: Path) -> None:
    """Put in place, it goes from the attribute to the answer, and is documented."""
    folder = copy_with(FIELD, tmp_path)
    (folder / "tests" / "test_field.py").write_text(FIELD_TEST)
    run_tests(
        folder,
        "tests/test_field.py",
        "tests/unit/test_values.py",
        "tests/unit/test_projection_versions.py",
        DOCUMENTED.format("attribute"),
    )


FIELD_TEST = """
import json
from typer.testing import CliRunner
from service.cli.main import app
from tests.api_service import serving
from tests.events import make_batch, make_span
from tests.views import make_folder

def test_the_priority_is_told(tmp_path):
    spans = [make_span(attributes={"task.priority": "high"}), make_span(task="other")]
    data = make_folder(tmp_path, [make_batch(spans)])
    with serving(data) as client:
        items = client.get("/api/v1/attempts").json()["items"]
    assert {item["task_id"]: item["priority"] for item in items} == {
        "task-1": "high", "other": None,
    }
    told = CliRunner().invoke(app, ["attempts", "--json", "--data", str(data)])
    assert json.loads(told.stdout)["items"] == items
"""


def test_a_page_that_moved_on_fails(tmp_path: Path) -> None:
    """A diff that does not fit the tree is not taken."""
    with pytest.raises(AssertionError, match="refresh the example"):
        copy_with(PROJECTION.replace("| `history`", "| `past`"), tmp_path)
