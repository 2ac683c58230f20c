"""Remedies before another attempt: what a policy names, done with what the program gave for it.

Nothing is touched that was not given: only given temporary paths are cleaned, and permissions are
the program's own matter, in a function that it registers.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from spanledger_sdk import names
from spanledger_sdk.attempts import Attempt
from spanledger_sdk.guard import complain

Outcome = Literal["succeeded", "failed", "skipped"]
Callback = Callable[[BaseException], Any]
CLEAN: Final = "clean_temporary"
EXTEND: Final = "extend_timeout"
RETRY: Final = "retry"
CIRCUIT: Final = "open_circuit"


class Remedies(NamedTuple):
    """What a program gives for recoveries.

    `callbacks` are called with the exception, by the action's name; one that returns False, or
    raises, has failed.
    """

    temporary: Sequence[str | PathLike[str]] = ()
    callbacks: Mapping[str, Callback] = {}

    def perform(
        self,
        actions: Sequence[str],
        attempt: Attempt,
        error: BaseException,
        reasons: Mapping[str, str],
    ) -> bool:
        """Do what can be done, each recorded as an event; whether anything was and succeeded.

        Args:
            reasons: by action, why it has its place, where that is known.
        """
        helped = False
        for action in actions:
            begun_s = time.monotonic()
            outcome = self._perform(action, error)
            why = {names.RECOVERY_REASON: reasons[action]} if action in reasons else {}
            record(attempt, action, outcome, time.monotonic() - begun_s, **why)
            helped |= outcome == "succeeded"
        return helped

    def _perform(self, action: str, error: BaseException) -> Outcome:
        callback = self.callbacks.get(action)
        try:
            if callback is not None:
                return "failed" if callback(error) is False else "succeeded"
            if action == CLEAN and self.temporary:
                return "succeeded" if _clean(self.temporary) else "failed"
        except Exception as exc:
            complain("a recovery action failed", f"{action}: {exc}")
            return "failed"
        return "skipped"  # nothing was given for it; a longer timeout is said by the retry


def record(attempt: Attempt, action: str, outcome: Outcome, duration_s: float, **more: Any) -> None:
    """A recovery as an event of the attempt's span."""
    try:
        attempt.span.add_event(
            names.RECOVERY_EVENT,
            {
                names.RECOVERY_ACTION: action,
                names.RECOVERY_OUTCOME: outcome,
                names.RECOVERY_DURATION: round(duration_s, 6),
                **more,
            },
        )
    except Exception as exc:
        complain("a recovery could not be recorded", exc)


def _clean(paths: Sequence[str | PathLike[str]]) -> bool:
    """Remove files, and what is in folders; whether anything was there to remove."""
    removed = False
    for given in paths:
        path = Path(given)
        if path.is_symlink() or path.is_file():
            path.unlink()
            removed = True
        elif path.is_dir():
            for inside in path.iterdir():
                removed = True
                if inside.is_dir() and not inside.is_symlink():
                    shutil.rmtree(inside)
                else:
                    with contextlib.suppress(FileNotFoundError):
                        inside.unlink()
    return removed
