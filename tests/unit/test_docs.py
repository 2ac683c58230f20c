"""The documentation names everything that a user can set, call, ask or meet in the log."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from events import metrics, names
from events.log.writer import LogWriter
from service.api import openapi
from service.cli.main import app
from service.configuration.reading import FIELDS
from service.roles.declaration import ROLES, Declaration
from tests.events import make_batch, make_span

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
METRICS = [metric.name for metric in metrics.REGISTRY.collect()]
WORDS = [value for name, value in vars(names).items() if name.isupper()]


def page(name: str) -> str:
    """The text of a page of `docs/`."""
    return (ROOT / "docs" / name).read_text("utf-8")


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command below a command, with its path."""
    if hasattr(command, "list_commands"):
        for name in command.list_commands(None):
            yield from commands(command.get_command(None, name), f"{path} {name}")
    else:
        yield path, command


COMMANDS = dict(commands(typer.main.get_command(app), "spanledger"))


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_documented(name: str) -> None:
    """Its option, its variable, its default and its sentence stand in the settings page."""
    field = FIELDS[name]
    line = next(
        ln for ln in page("settings.md").splitlines() if ln.startswith(f"| `{field.option}`")
    )
    assert f"`{field.variable}`" in line
    assert field.sentence in line
    if isinstance(field.default, int | float):
        default = str(field.default).lower() if field.is_flag else str(field.default)
        assert f"`{default}`" in line


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_is_documented(path: str) -> None:
    """The command line's page shows it."""
    assert re.search(rf"`{path}[ `]", page("cli.md"))


@pytest.mark.parametrize("path", COMMANDS)
def test_every_option_is_documented(path: str) -> None:
    """Each option of each command stands in some page."""
    texts = page("cli.md") + page("settings.md")
    options = {opt for p in COMMANDS[path].params for opt in p.opts if opt.startswith("--")}
    assert not {opt for opt in options if f"{opt}" not in texts}


@pytest.mark.parametrize("path", openapi.document()["paths"])
def test_every_route_is_documented(path: str) -> None:
    """Each path of the OpenAPI document stands in the API's page."""
    assert f"`{path.removeprefix('/api/v1/')}`" in page("http-api.md")


def test_every_parameter_is_documented() -> None:
    """Each parameter of the OpenAPI document stands in the API's page."""
    operations = openapi.operations(openapi.document())
    asked = {p["name"] for o in operations for p in o.get("parameters", ())}
    assert not {name for name in asked if name not in page("http-api.md")}


@pytest.mark.parametrize("word", [w for w in WORDS if w.endswith(".v1")])
def test_every_event_is_documented(word: str) -> None:
    """Each tag of the log is explained, and its fields are listed."""
    assert f"`{word}`" in page("concepts.md")
    assert f"`{word}`" in page("event-log.md")


@pytest.mark.parametrize("word", [w for w in WORDS if w.startswith("task.")])
def test_every_attribute_is_documented(word: str) -> None:
    """Each `task.*` name stands in the concepts; those of executors share a line."""
    assert word in page("concepts.md") or f"`.{word.rpartition('.')[2]}`" in page("concepts.md")


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_documented(name: str) -> None:
    """Each Prometheus metric stands in the operator's page."""
    assert f"`{name}" in page("operating.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    """Each link to a file of the project names one that is there, and a heading that it has."""
    for target in re.findall(r"\]\(([^)\s]+)\)|src(?:set)?=\"([^\"]+)\"", path.read_text("utf-8")):
        link = target[0] or target[1]
        if link.startswith(("http:", "https:")):
            continue
        file, _, heading = link.partition("#")
        found = path.parent / file if file else path
        assert found.exists(), link
        assert not heading or heading in headings(found), link


@pytest.mark.parametrize("name", ["architecture.md", "contributing.md"])
def test_files_that_a_page_names_are_there(name: str) -> None:
    """Each path between backticks is a file or folder of the project."""
    paths = re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", page(name))
    assert len(paths) > 20
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_the_picture_names_files_that_are_there() -> None:
    """Each file in the picture of the architecture is in the folder above it."""
    picture = page("images/architecture.svg")
    folder, files = ROOT, []
    for kind, text in re.findall(r'class="(quiet|mono)"[^>]*>([^<]+)<', picture):
        if kind == "quiet" and text.endswith("/"):
            folder = ROOT / text
        elif kind == "mono" and text.endswith((".py", ".sql")):
            files.append(folder / text)
    assert len(files) > 20
    assert not [file for file in files if not file.is_file()]


def headings(path: Path) -> set[str]:
    """The anchors of a page's headings."""
    found = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in found}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_in_pages_is_python(path: Path) -> None:
    """Each Python example at least compiles."""
    for block in re.findall(r"```python\n(.*?)```", path.read_text("utf-8"), re.S):
        compile(block, str(path), "exec")


def test_the_reader_of_the_format_page_reads_a_log(tmp_path: Path) -> None:
    """The program in the format's page prints every event of a log that the writer wrote."""
    log = LogWriter(tmp_path)
    spans = [make_span() for _ in range(3)]
    log.append_group([make_batch(spans)])
    log.close()
    (program,) = re.findall(r"```python\n(.*?)```", page("event-log.md"), re.S)
    command = [sys.executable, "-c", program, str(tmp_path)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    expected = [f"{n} default span.v1 {s.trace_id.hex()}" for n, s in enumerate(spans, 1)]
    assert printed.splitlines() == expected


@pytest.mark.parametrize("declared", ROLES.values(), ids=ROLES)
def test_every_role_is_documented_as_it_is_declared(declared: Declaration) -> None:
    """The operator's page says of each role where it listens and when it ends."""
    rows = page("operating.md").splitlines()
    row = next(row for row in rows if row.startswith(f"| `{declared.name}` |"))
    _, _, _, ports, ends, needed, _ = (cell.strip() for cell in row.split("|"))
    assert ports == ", ".join(f"`{FIELDS[port.setting].option}`" for port in declared.ports)
    assert int(ends) == declared.drains
    assert needed == ("yes" if declared.readiness else "no")
