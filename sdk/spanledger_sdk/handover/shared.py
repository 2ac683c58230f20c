"""The outbox that all of a process's processors share, so that one thread does the work."""

import threading

from spanledger_sdk import settings
from spanledger_sdk.handover.outbox import Outbox
from spanledger_sdk.handover.transport import HttpTransport
from spanledger_sdk.settings import Settings

_lock = threading.Lock()
_shared: dict[Settings, Outbox] = {}


def outbox_of(wanted: Settings | None = None) -> Outbox:
    """The outbox of these settings, by default of those in force; made when first asked for."""
    found = wanted or settings.current()
    with _lock:
        outbox = _shared.get(found)
        if outbox is None:
            outbox = _shared[found] = Outbox(
                HttpTransport(found), found.queue_items, found.send_interval_s,
                found.exit_timeout_s,
            )  # fmt: skip
        return outbox


def forget(outbox: Outbox) -> None:
    """The next who asks gets another one: this one was closed."""
    with _lock:
        for key in [key for key, value in _shared.items() if value is outbox]:
            del _shared[key]
