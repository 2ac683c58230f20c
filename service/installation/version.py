"""The version of the installed distribution."""

from importlib import metadata
from typing import Final

DISTRIBUTION: Final = "spanledger"


def _version() -> str:
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "0+unknown"  # run from a checkout that nobody installed


VERSION: Final = _version()
