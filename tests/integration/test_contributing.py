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


def walk_through(heading: str) -> str:
    """The diffs below a heading of the page, as one."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.S | re.M)
    return "".join(re.findall(r"```diff\n(.*?)```", section, re.S))


def files_of(diff: str) -> set[str]:
    """The files that a diff touches."""
    return set(re.findall(r"^\+\+\+ b/(.+)$", diff, re.M))


def copy_with(diff: str, folder: Path) -> Path:
    """A copy of the tree with a diff applied."""
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
    return folder


def run_tests(folder: Path, *tests: str) -> None:
    """Run tests of a copy, with its own packages."""
    ran = subprocess.run(
        [sys.executable, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


PROJECTION = walk_through("Add a projection, with its question and its command")
DOCUMENTED = "tests/unit/test_docs.py::test_every_{}_is_documented"


def test_a_projection_with_its_question_and_command_is_eight_files() -> None:
    """Its own folder, a line in two pages, and a test; no module that is there is touched."""
    files = files_of(PROJECTION)
    assert len(files) <= 8
    assert {name for name in files if name.endswith(".py")} == {
        "projections/views/recoveries/__init__.py",
        "projections/views/recoveries/store.py",
        "projections/views/recoveries/question.py",
        "tests/integration/test_recoveries.py",
    }


def test_the_example_projection_answers(tmp_path: Path) -> None:
    """Put in place, it is folded, answers over the API and the command line, and is documented."""
    run_tests(
        copy_with(PROJECTION, tmp_path),
        "tests/integration/test_recoveries.py",
        "tests/unit/test_filters.py",
        *(DOCUMENTED.format(what) for what in ("command", "option", "route", "parameter")),
    )


def test_a_page_that_moved_on_fails(tmp_path: Path) -> None:
    """A diff that does not fit the tree is not taken."""
    with pytest.raises(AssertionError, match="refresh the example"):
        copy_with(PROJECTION.replace("| `history`", "| `past`"), tmp_path)
