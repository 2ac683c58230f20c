"""Checking the log's chain of hashes for somebody who asked for it on a page."""

import logging
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from events.errors import SpanledgerError
from events.log import chain
from events.log.reader import open_reader

_log = logging.getLogger(__name__)
_BREATH_S: Final = 0.002
"""Between pages of the log, so that questions are answered meanwhile."""


class Verified(msgspec.Struct, frozen=True):
    """A check that runs or ran last: by whom, since when, how far, and what it found."""

    actor: str
    began_ns: int
    position: int = 0
    head: int = 0
    segments: int = 0
    ended_ns: int | None = None
    failure: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it goes on."""
        return self.ended_ns is None


class Verification:
    """One check at a time, in a thread of its own; `close` ends it.

    Args:
        clock: now, in nanoseconds since 1970.
    """

    def __init__(self, data: Path, clock: Callable[[], int] = time.time_ns) -> None:
        self._data = data
        self._clock = clock
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._last: Verified | None = None
        self._thread: threading.Thread | None = None

    @property
    def last(self) -> Verified | None:
        """The check that runs or ran last; None before the first."""
        return self._last

    def begin(self, actor: str) -> None:
        """Check the whole log, unless that is being done."""
        with self._lock:
            if self._closing.is_set() or (self._last is not None and self._last.is_running):
                return
            self._last = Verified(actor, self._clock())
            self._thread = threading.Thread(target=self._run, name="verification", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End; may be called twice."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        failure = ""
        try:
            self._walk()
        except SpanledgerError as exc:
            failure = str(exc)
            _log.error("the log is not as it was", extra={"action": "verify", "error": failure})
        except Exception:
            failure = "the service made a mistake; its log says more"
            _log.exception("the log could not be verified", extra={"action": "verify"})
        self._tell(ended_ns=self._clock(), failure=failure)

    def _walk(self) -> None:
        with closing(open_reader(self._data)) as reader:
            self._tell(head=reader.head().position)
            for reached in chain.verify(reader):
                self._tell(position=reached.position, segments=reached.segments)
                if self._closing.wait(_BREATH_S):
                    return
            reader.check_head()

    def _tell(self, **changes: object) -> None:
        assert self._last is not None
        self._last = msgspec.structs.replace(self._last, **changes)
