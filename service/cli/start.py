"""How this process was started, for the one command that starts another program as if it were
not there."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Start:
    """The arguments as they came, and the umask before we made our files private."""

    arguments: Sequence[str]
    umask: int
