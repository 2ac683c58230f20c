"""Where the rules of a service are, which also says whether it has alerts at all."""

from pathlib import Path
from typing import Final

from service.configuration.settings import Settings

FILE: Final = "alerts.toml"
FILE_SETTING: Final = "alerts_file"


def rules_file(settings: Settings) -> Path | None:
    """The file that is set, else the one in the data folder if it is there; None: no alerts."""
    given = settings.of_role(FILE_SETTING, None)
    if given is not None:
        return Path(given)  # a child process gets it as text
    beside = settings.data / FILE
    return beside if beside.is_file() else None
