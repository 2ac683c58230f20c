"""What keeps the SDK's own faults from the program that it is in.

Whatever goes wrong inside is caught at the outermost call, counted, and said at most once a
minute for each kind of trouble: with the count of what was not said since.
"""

import logging
import threading
import time
from typing import Final

logger = logging.getLogger("spanledger_sdk")
SAY_EVERY_S: Final = 60.0
KINDS: Final = 100
"""Of trouble, at most, that are told apart."""


class Troubles:
    """Counts what went wrong by kind, and says each kind at most once in `every_s` seconds."""

    def __init__(self, every_s: float = SAY_EVERY_S) -> None:
        self._every_s = every_s
        self._lock: threading.Lock
        self._counts: dict[str, int]
        self._unsaid: dict[str, int]
        self._said_s: dict[str, float]
        self._told: set[str]
        self.forget()

    def count(self, kind: str) -> int:
        """How often a kind of trouble has been met."""
        return self._counts.get(kind, 0)

    def counts(self) -> dict[str, int]:
        """The count of each kind of trouble."""
        with self._lock:
            return dict(self._counts)

    def complain(self, kind: str, how: object = "", times: int = 1) -> None:
        """Count trouble, and say it if that kind was not said for a while. Never raises.

        Args:
            kind: a constant text, which names what was lost or could not be done.
            how: what tells more, such as the exception.
            times: how many spans, records or calls are concerned.
        """
        try:
            with self._lock:
                if kind not in self._counts and len(self._counts) >= KINDS:
                    kind = "other trouble"
                self._counts[kind] = self._counts.get(kind, 0) + times
                unsaid = self._unsaid[kind] = self._unsaid.get(kind, 0) + times
                now_s = time.monotonic()
                if now_s - self._said_s.get(kind, -self._every_s) < self._every_s:
                    return
                self._said_s[kind] = now_s
                self._unsaid[kind] = 0
            logger.warning("%s (%d times)%s", kind, unsaid, f": {how!s:.500}" if how else "")
        except Exception:
            return  # a logging handler of the program's, or an exception that has no text

    def say_once(self, sentence: str, *args: object) -> None:
        """Say what is no trouble of ours, but should be known, once in the life of a process."""
        if sentence not in self._told:
            self._told.add(sentence)
            logger.warning(sentence, *args)

    def forget(self) -> None:
        """Begin anew, with a lock that nobody holds: in a forked child, and between tests."""
        self._lock = threading.Lock()
        self._counts, self._unsaid, self._said_s = {}, {}, {}
        self._told = set()


troubles: Final = Troubles()
complain: Final = troubles.complain
say_once: Final = troubles.say_once
