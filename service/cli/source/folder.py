"""The data folder that a command works on."""

from pathlib import Path

from events.errors import Unavailable
from events.log.sqlite import FILE
from service.configuration.reading import default_data


def data_folder(given: Path | None) -> Path:
    """The folder of `--data`, or the user's data folder."""
    return default_data() if given is None else given.expanduser().absolute()


def existing_folder(given: Path | None) -> Path:
    """The same, if there is a log in it: a command must not make a folder of a misspelt name.

    Raises:
        Unavailable: there is no log.
    """
    folder = data_folder(given)
    if not (folder / FILE).exists():
        raise Unavailable(f"no log in {folder} yet: start `spanledger serve --data {folder}` first")
    return folder
