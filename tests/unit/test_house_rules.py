"""House rules that a program can check: imports point down, files and functions are short."""

import ast
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("events", "projections", "service")
SDK = ROOT / "sdk"
FOLDERS = (
    *(ROOT / package for package in PACKAGES),
    SDK / "spanledger_sdk",
    SDK / "spanledger_sdk_pytest",
)
SOURCES = sorted(path for folder in FOLDERS for path in folder.rglob("*.py"))
FILE_LINES = 400
FUNCTION_LINES = 50
DEPTH = 5
MODULES = 18  # in a folder, besides its __init__
ROOMS = {
    "storage": set[str](),
    "errors": set[str](),
    "policies": {"errors"},
    "mapping": {"storage", "errors.telling", "runs.times", "runs.values", "runs.words"},
    "runs": {"storage", "errors", "mapping"},
    "engine": {"errors", "storage", "runs"},
    "query": {"storage", "errors", "runs"},
    "views": {"errors", "policies", "storage", "runs", "engine", "query"},
}
"""Of each folder of `projections`, which others its modules may import, or which modules of them:
`runs` uses `mapping`, which reads values and words as `runs` does."""

SERVICE_ROOMS = {
    "policies": {"control.socket"},
    "mappings": {"control.socket"},
    "control": {"mappings"},
    "access": {"control"},
    "network": {"control", "configuration.settings"},
    "forward": {"configuration.settings"},
    "otlp": {"mappings", "access", "network", "configuration.settings"},
    "configuration": {"access", "forward", "network", "otlp.scrub", "roles.declaration"},
    "append": {"otlp", "configuration"},
    "reactors": {"append"},
    "alerts": {"forward", "configuration", "append"},
    "telemetry": {"control", "installation.version"},
    "installation": {"access", "forward", "network", "configuration", "roles.declaration"},
    "mcp": {"access", "network", "configuration", "installation.version"},
    "web": {
        "policies", "access", "append", "alerts", "configuration", "installation", "api.asking",
        "control",
    },
    "traces": {"forward", "configuration"},
    "jaeger": {"access", "network", "otlp", "configuration", "traces"},
    "tempo": {"access", "forward", "traces", "api.asking"},
    "api": {
        "traces", "tempo",
        "policies", "control", "access", "web", "network", "otlp", "configuration", "append",
        "alerts", "telemetry",
        "roles.declaration",
    },
    "roles": {
        "policies", "mappings", "control", "access", "network", "forward", "otlp",
        "configuration", "append",
        "reactors", "alerts", "telemetry", "installation", "mcp", "web", "jaeger", "api",
    },
    "process": {
        "policies",
        "mappings", "control", "network", "configuration", "telemetry", "installation", "roles",
    },
    "demo": {"network", "configuration", "roles", "cli.output"},
    "run": set(),
    "kit": set(),
    "cli": {
        "policies",
        "mappings", "control", "access", "network", "forward", "configuration", "telemetry",
        "installation", "alerts", "mcp",
        "roles", "process", "demo", "run", "kit", "otlp.decode", "otlp.scrub",
    },
}  # fmt: skip
"""The same of `service`, from below to above: whole rooms are those that stand before."""


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _imported(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    """`events` knows neither of the others, `projections` not `service`, the SDK none of them."""
    own = path.relative_to(ROOT).parts[0]
    above = set(PACKAGES if own == "sdk" else PACKAGES[PACKAGES.index(own) + 1 :])
    assert not _imported(_tree(path)) & (above | {"tests", "benchmarks"})


def _name(path: Path) -> str:
    root = SDK if path.is_relative_to(SDK) else ROOT
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def _graph() -> dict[str, set[str]]:
    """The modules of ours that each module imports."""
    modules = {_name(path): path for path in SOURCES}
    graph = {}
    for name, path in modules.items():
        found = set()
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= (inner & modules.keys()) or {node.module}
        graph[name] = (found & modules.keys()) - {name}
    return graph


def test_no_module_imports_itself_through_others() -> None:
    """Taking away, again and again, what imports nothing that is left takes away everything."""
    left = dict(_graph())
    while free := {name for name, found in left.items() if not found & left.keys()}:
        left = {name: found for name, found in left.items() if name not in free}
    assert not left


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_of_projections_import_one_way(room: str) -> None:
    """Each room imports only from those below it; what puts them together stands above all."""
    assert not _beyond("projections", room, ROOMS[room])


@pytest.mark.parametrize("room", SERVICE_ROOMS)
def test_rooms_of_service_import_one_way(room: str) -> None:
    """Each room imports only from those below it, or single modules that stand alone."""
    order = list(SERVICE_ROOMS)
    below = {name for name in SERVICE_ROOMS[room] if "." not in name}
    assert below <= {*order[: order.index(room)]}
    assert not _beyond("service", room, SERVICE_ROOMS[room])


def test_every_room_of_service_has_its_place() -> None:
    """A new folder says what it stands on."""
    rooms = {path.parent.name for path in (ROOT / "service").glob("*/*.py")}
    assert rooms == SERVICE_ROOMS.keys()


def _beyond(package: str, room: str, below: set[str]) -> set[str]:
    """What the modules of a room import from other rooms than those that are allowed."""
    own = f"{package}.{room}"
    found = {
        imported
        for name, imports in _graph().items()
        if f"{name}.".startswith(f"{own}.") and not name.endswith(".__main__")
        for imported in imports
        if imported.startswith(f"{package}.") and not f"{imported}.".startswith(f"{own}.")
    }
    allowed = tuple(f"{package}.{other}." for other in below)
    return {name for name in found if not f"{name}.".startswith(allowed)}


@pytest.mark.parametrize(
    "folder",
    sorted({path.parent for path in SOURCES}),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_folder_is_a_heap(folder: Path) -> None:
    """What grows beyond that many modules is more than one noun."""
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= MODULES


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_are_short(path: Path) -> None:
    """No file has over 400 lines, no function over 50 lines of code, no folder lies too deep."""
    text = path.read_text()
    assert len(text.splitlines()) <= FILE_LINES
    assert len(path.relative_to(ROOT).parts) <= DEPTH + 1
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) else node.body
            lines = node.end_lineno - body[0].lineno + 1 if body and node.end_lineno else 0
            assert lines <= FUNCTION_LINES, f"{node.name} has {lines} lines"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_say_what_they_hold(path: Path) -> None:
    """Every module that is not empty begins with a docstring."""
    tree = _tree(path)
    assert not tree.body or ast.get_docstring(tree)


def test_each_dependency_is_used() -> None:
    """What `pyproject.toml` asks for at run time is imported somewhere, or named as a plug-in."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    modules = {
        "google-re2": "re2", "googleapis-common-protos": "google", "grpcio": "grpc",
        "grpcio-health-checking": "grpc_health", "grpcio-reflection": "grpc_reflection",
        "opentelemetry-exporter-otlp": "opentelemetry", "opentelemetry-proto": "opentelemetry",
        "opentelemetry-sdk": "opentelemetry", "prometheus-client": "prometheus_client",
        "protobuf": "google", "python-stdnum": "stdnum", "uvicorn[standard]": "uvicorn",
    }  # fmt: skip
    used = set().union(*(_imported(_tree(path)) for path in SOURCES))
    names = [requirement.split(">")[0].split("<")[0] for requirement in project["dependencies"]]
    assert not {name for name in names if modules.get(name, name) not in used}
