"""What SIGHUP asks of the roles: to go by their files as they are now."""

import logging
from collections.abc import Iterable
from pathlib import Path

from events.errors import SpanledgerError
from service.control.socket import call
from service.mappings import asking as mappings
from service.policies import applying as policies
from service.roles.declaration import ROLES, role_of

_log = logging.getLogger(__name__)


def reload_files(data: Path, instances: Iterable[str]) -> None:
    """Have each instance read its files again, then apply policies and mapping rules; what comes
    of it is logged. A file that cannot be used changes nothing."""
    for instance in instances:
        question = ROLES[role_of(instance)].reload
        if not question:
            continue
        extra = {"action": "reload", "child": instance}
        try:
            answer = call(data, instance, question)
        except SpanledgerError as exc:
            _log.error(
                "a file cannot be used; what was in force stays so",
                extra=extra | {"error": str(exc)},
            )
        else:
            _log.info("files were read again", extra=extra | answer)
    policies.apply_and_tell(data)
    mappings.apply_and_tell(data)
