"""A child process of the supervisor: `python -P -m service.roles INSTANCE`.

Standard input brings the settings as its first line, then `stop SECONDS`; its end means that the
parent is gone. Standard output takes JSON lines: `{"ready": ports}` or `{"failed": …}`, and
`{"metrics": …}` with the last breath; whatever else is printed in this process goes to standard
error.
"""

import logging
import os
import signal
import sqlite3
import sys
import threading
from typing import Any, Final, TextIO

import msgspec

from events.errors import SpanledgerError
from service.configuration.reading import from_json
from service.roles.runner import Stop, kind_of, run
from service.telemetry.logs import start_logging
from service.telemetry.samples import scrape

_log = logging.getLogger(__name__)
_ORPHANED_S: Final = 0.3
"""A child ends within a second of losing its parent, half of it left to the system."""


def main() -> int:
    """Run one instance; the exit code is 0 only if it ended because it was told to."""
    instance = sys.argv[1]
    words = os.fdopen(os.dup(0), "r", encoding="utf-8")
    reports = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    settings = from_json(words.readline().encode())
    start_logging(instance, settings.log_level, settings.log_format)
    stop = Stop()
    signal.signal(signal.SIGTERM, lambda *_: stop.ask(settings.drain_s))
    threading.Thread(target=_listen, args=(words, stop), name="life-line", daemon=True).start()
    try:
        run(instance, settings, stop, lambda ports: _tell(reports, ready=ports))
    except (SpanledgerError, OSError, sqlite3.Error) as exc:
        _tell(reports, failed={"kind": kind_of(exc), "message": str(exc)})
        return 1
    except Exception as exc:
        _log.critical("role failed", extra={"action": "role"}, exc_info=exc)
        _tell(reports, failed={"kind": kind_of(exc), "message": repr(exc)})
        return 1
    finally:
        _tell(reports, metrics=scrape(instance))
    return 0


def _listen(words: TextIO, stop: Stop) -> None:
    for line in words:
        word, _, seconds = line.partition(" ")
        if word == "stop":
            stop.ask(float(seconds))
    stop.ask(_ORPHANED_S)


def _tell(reports: TextIO, **message: Any) -> None:
    try:
        reports.write(msgspec.json.encode(message).decode() + "\n")
        reports.flush()
    except OSError:
        pass  # the parent is gone, which the life-line tells as well


if __name__ == "__main__":
    # Threads that are still at work must not hold the process back once its role is closed.
    code = main()
    sys.stderr.flush()
    os._exit(code)
