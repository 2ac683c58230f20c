"""OTLP as real orchestrators sent it, kept as base64 text below `tests/data/captures`."""

import base64
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "data" / "captures"
_SUFFIX: Final = ".binpb.b64"


def capture_files(signal: str = "*") -> list[Path]:
    """The captures of `traces`, `logs`, `metrics` or all."""
    return sorted(FOLDER.rglob(signal + _SUFFIX))


def signal_of(path: Path) -> str:
    """`traces`, `logs` or `metrics`."""
    return path.name.removesuffix(_SUFFIX)


def read_capture(path: Path) -> bytes:
    """The request body that was captured."""
    return base64.b64decode(path.read_text())
