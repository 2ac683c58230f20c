"""A file's name by which a frame is known wherever and in whichever release it is installed."""

from functools import lru_cache
from typing import Final

_GENERAL: Final = frozenset(
    [
        "__init__",
        "__main__",
        "index",
        "main",
        "app",
        "mod",
        "lib",
        "models",
        "views",
        "utils",
        "helpers",
        "handler",
        "handlers",
        "server",
        "routes",
        "base",
        "types",
        "core",
        "common",
        "config",
        "client",
        "api",
        "tasks",
        "service",
        "controller",
    ]
)
_PLACES: Final = frozenset(
    [
        "src",
        "app",
        "lib",
        "current",
        "release",
        "releases",
        "dist",
        "build",
        "code",
        "srv",
        "var",
        "opt",
        "home",
        "tmp",
        "www",
        "html",
        "target",
        "out",
        "bin",
        "workspace",
        "deploy",
        "project",
    ]
)


def file_key(path: str) -> str:
    """The name without folders; with the last folder where many files are called so.

    Folders of releases, hashes of content and versions don't count, nor does the kind of slash.
    """
    return _file_key(path[-400:])


@lru_cache(20_000)
def _file_key(path: str) -> str:
    parts = [part for part in path.replace("\\", "/").split("/") if part]
    if not parts:
        return ""
    name = ".".join(part for part in parts[-1].split("?")[0].split(".") if not is_made(part))
    name = "-".join(part for part in name.split("-") if not is_made(part)) or name
    stem = name.partition(".")[0]
    if stem.lower() not in _GENERAL or len(parts) < 2:
        return name
    folder = "-".join(part for part in parts[-2].split("-") if not is_made(part))
    return name if not folder or folder.lower() in _PLACES else f"{folder}/{name}"


def is_made(part: str) -> bool:
    """Whether a part of a name is a hash, a time or a version."""
    if "." in part and part.replace(".", "").lstrip("v").isdigit():
        return True
    if len(part) < 6:
        return part[:1] == "v" and part[1:].isdigit()
    digits = sum(c.isdigit() for c in part)
    if all(c in "0123456789abcdefABCDEF" for c in part) and digits and len(part) >= 7:
        return True
    if part.replace(".", "").replace("_", "").replace("-", "").lstrip("v").isdigit():
        return True
    mixed = part.isalnum() and digits >= 2 and len(part) >= 8
    return mixed and part.lower() != part.upper() and digits * 4 >= len(part)
