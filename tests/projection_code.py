"""Digests of what decides a projection's rows: the code and the schema behind its version.

    python -m tests.projection_code      # pin the digests of today's code

A projection's code is the modules of its folder, without its question, and all of `projections`
that they import. What `facts` has is left out of the others: they depend on it, and go along with
a new version of it. Comments, docstrings and blank lines do not count.
"""

import ast
import hashlib
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from projections.assembly import make_folds
from projections.engine.versions import SHARED, projections_of

ROOT: Final = Path(__file__).parents[1]
PINNED: Final = Path(__file__).parent / "data" / "projection_versions.json"
_APART: Final = ("projections.engine", "projections.query", "projections.fold")


def versions() -> dict[str, int]:
    """The version of every projection."""
    return {p.name: p.version for p in projections_of(make_folds())}


@cache
def digests() -> dict[str, str]:
    """The digest of every projection's code and schema."""
    return {name: _digest(files_of(name)) for name in versions()}


def files_of(name: str) -> set[Path]:
    """The files that decide a projection's rows, without those that decide them for `facts`."""
    runs, sql_views = ROOT / "projections/runs", ROOT / "projections/views/sqlviews.sql"
    shared = _closure([runs / "registry", runs / "extraction.py", sql_views])
    if name == SHARED:
        return shared
    return _closure([ROOT / "projections/views" / name]) - shared


def _closure(begun: list[Path]) -> set[Path]:
    """Files, those of folders, and the modules of `projections` that they import, in turn."""
    found: set[Path] = set()
    left = [file for path in begun for file in _files(path)]
    while left:
        file = left.pop()
        if file not in found:
            found.add(file)
            left += _imported(file) if file.suffix == ".py" else ()
    return found


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    kept = (f for f in sorted(path.iterdir()) if f.suffix in (".py", ".sql"))
    return [f for f in kept if f.stem not in ("question", "__init__")]


@cache
def _imported(file: Path) -> tuple[Path, ...]:
    return tuple(_found_imported(file))


def _found_imported(file: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith(
            "projections."
        ):
            continue
        modules = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
        for module in modules:
            path = ROOT / f"{module.replace('.', '/')}.py"
            if path.is_file() and not module.startswith(_APART):
                yield path
                yield from (f for f in [path.with_suffix(".sql")] if f.is_file())


def _digest(files: set[Path]) -> str:
    digest = hashlib.blake2b(digest_size=8)
    for file in sorted(files):
        digest.update(str(file.relative_to(ROOT)).encode())
        digest.update("\n".join(_lines(file)).encode())
    return digest.hexdigest()


@cache
def _lines(file: Path) -> list[str]:
    """The lines that count."""
    text = file.read_text("utf-8")
    left_out = _docstring_lines(text) if file.suffix == ".py" else set()
    mark = "#" if file.suffix == ".py" else "--"
    lines = enumerate(text.splitlines(), 1)
    kept = (line.rstrip() for number, line in lines if number not in left_out)
    return [line for line in kept if line and not line.lstrip().startswith(mark)]


def _docstring_lines(text: str) -> set[int]:
    found: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                found |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return found


def pin() -> None:
    """Write down what is now; one line a projection."""
    now = {name: [versions()[name], digest] for name, digest in sorted(digests().items())}
    lines = ",\n".join(f'  "{name}": {json.dumps(pair)}' for name, pair in now.items())
    PINNED.write_text(f"{{\n{lines}\n}}\n", "utf-8")


if __name__ == "__main__":
    pin()
