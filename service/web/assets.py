"""Files that pages load: our own, under names that change with their content, kept for a year."""

import gzip
import hashlib
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Asset(NamedTuple):
    """A file as it is sent; `packed` is the same in gzip."""

    content: bytes
    packed: bytes
    media_type: str


class Assets:
    """The files of a folder by the names under which they are served: `name.DIGEST.css`."""

    def __init__(self, folder: Path) -> None:
        self.names: dict[str, str] = {}
        self._assets: dict[str, Asset] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix not in _TYPES:
                continue
            content = path.read_bytes()
            served = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}"
            self.names[path.name] = served
            packed = gzip.compress(content, 9, mtime=0)
            self._assets[served] = Asset(content, packed, _TYPES[path.suffix])

    def get(self, served: str) -> Asset | None:
        """The file that is served under a name."""
        return self._assets.get(served)


ASSETS: Final = Assets(FOLDER)
