"""The data folder that a command works on."""

from pathlib import Path

import platformdirs


def data_folder(given: Path | None) -> Path:
    """The folder of `--data`, or the user's data folder."""
    if given is not None:
        return given.expanduser().absolute()
    return Path(platformdirs.user_data_dir("spanledger"))
