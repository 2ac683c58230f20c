"""Exit codes, and which error ends in which. Scripts rely on them; `docs/cli.md` lists them."""

from typing import Final

from events.errors import Damaged, NotFound, Rejected, SpanledgerError, Unavailable

OK: Final = 0
FAILURE: Final = 1
USAGE: Final = 2
NOT_FOUND: Final = 3
UNAVAILABLE: Final = 4
DAMAGED: Final = 5
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141


class Failed(SpanledgerError):
    """The command ran and did not succeed."""


def exit_code(error: SpanledgerError) -> int:
    """The exit code that `error` ends in."""
    if isinstance(error, NotFound):
        return NOT_FOUND
    if isinstance(error, Unavailable):
        return UNAVAILABLE
    if isinstance(error, Damaged):
        return DAMAGED
    return USAGE if isinstance(error, Rejected) else FAILURE
