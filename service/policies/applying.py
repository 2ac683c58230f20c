"""Putting policies into force: read, checked, told to the log, kept, and only then gone by."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from events import names
from events.errors import SpanledgerError, Unavailable
from events.schema import Fact
from projections.policies.reading import built_in, read_policy_file
from projections.policies.resolving import PolicySet
from service.control.socket import call
from service.policies.in_force import InForce, file_of, keep, kept

APPLY: Final = "apply_policies"
"""What the API's role is asked."""
_AGAIN_S: Final = 0.5
_log = logging.getLogger(__name__)


class Applying:
    """The policies of a data folder, as its service goes by them. Safe for any number of threads.

    Args:
        file: the user's; None: `policies.toml` of the folder, which need not be there.
        record: appends a fact to the log; returns once it is durable.
        clock: now, in nanoseconds since 1970.
    """

    def __init__(
        self,
        data: Path,
        file: Path | None,
        record: Callable[[Fact], Any],
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._data = data
        self._file = file
        self._record = record
        self._clock = clock
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._applied = kept(data)
        self._policies = built_in() if self._applied is None else self._applied.policies()

    @property
    def policies(self) -> PolicySet:
        """Those in force; another object once others are."""
        return self._policies

    @property
    def applied(self) -> InForce | None:
        """What was applied last, when and by whom; None: nothing yet, the shipped ones hold."""
        return self._applied

    def handlers(self) -> Mapping[str, Callable[..., Any]]:
        """What can be asked over the control socket."""

        def apply_policies(file: str | None = None, actor: str = names.ACTOR_LOCAL) -> Any:
            return self.apply(None if file is None else Path(file), actor)

        return {APPLY: apply_policies}

    def apply(self, file: Path | None, actor: str) -> dict[str, Any]:
        """Put what a file says into force; without one, the user's own.

        Raises:
            BadPolicies: the file is wrong; what was in force stays so.
            Unavailable: the log does not take the fact; likewise.
        """
        with self._lock:
            path = file or file_of(self._data, self._file)
            policies = self._read(path, is_named=file is not None or self._file is not None)
            changed = policies.digest != self._policies.digest
            if changed:
                self._put(policies, str(path), actor)
            return {
                "digest": policies.digest,
                "changed": changed,
                "rules": len(policies.rules),
                "file": str(path),
            }

    def begin(self) -> None:
        """Apply what the user's file says, once the log takes facts; for a thread of its own.

        A file that is wrong is told, and what was applied last stays in force.
        """
        while not self._closing.is_set():
            try:
                self.apply(None, names.ACTOR_START)
                return
            except Unavailable:
                self._closing.wait(_AGAIN_S)
            except SpanledgerError as exc:
                _tell_refused(exc)
                return

    def close(self) -> None:
        """End `begin`."""
        self._closing.set()

    def _read(self, path: Path, *, is_named: bool) -> PolicySet:
        if not is_named and not path.exists():
            return built_in()
        return read_policy_file(path)

    def _put(self, policies: PolicySet, file: str, actor: str) -> None:
        now = InForce(
            text=policies.text, digest=policies.digest, file=file, applied_ns=self._clock(),
            actor=actor,
        )  # fmt: skip
        self._record(_fact_of(now, self._policies.digest))
        keep(self._data, now)
        self._applied, self._policies = now, policies
        extra = {"action": "policies", "digest": now.digest, "file": file, "actor": actor}
        _log.info("policies applied", extra=extra)


def _fact_of(applied: InForce, before: str) -> Fact:
    """Versioned in the log: what was in force when, and by whom."""
    return Fact(
        kind=names.FACT_POLICIES,
        version=1,
        time_ns=applied.applied_ns,
        subject={"type": "policies", "digest": applied.digest},
        actor=applied.actor,
        idempotency_key=f"{applied.applied_ns}",
        payload={"text": applied.text, "file": applied.file, "before": before},
    )


def apply_and_tell(data: Path) -> None:
    """Ask the service to put into force what its file says; what comes of it is logged."""
    try:
        call(data, "api", APPLY, actor=names.ACTOR_SIGHUP)
    except SpanledgerError as exc:
        _tell_refused(exc)


def _tell_refused(error: SpanledgerError) -> None:
    extra = {"action": "policies", "error": str(error)}
    _log.error("policies were not applied; those in force stay", extra=extra)
