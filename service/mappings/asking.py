"""What the roles are asked when other mapping rules are to be in force."""

import logging
from pathlib import Path
from typing import Final

from events.errors import SpanledgerError
from service.control.socket import call

RELOAD: Final = "reload_mappings"
"""What a receiver is asked, so that it leaves whole what the rules in force need."""
APPLY: Final = "apply_mappings"
"""What the projector is asked."""
_LONGEST_S: Final = 24 * 3600.0
_log = logging.getLogger(__name__)


def apply_and_tell(data: Path) -> None:
    """Ask the projector to put into force what the files say; what comes of it is logged."""
    try:
        answer = call(data, "projector", APPLY, timeout_s=_LONGEST_S)
    except SpanledgerError as exc:
        extra = {"action": "mappings", "error": str(exc)}
        _log.error("mapping rules were not applied", extra=extra)
    else:
        _log.info("mapping rules applied", extra={"action": "mappings", **answer})
