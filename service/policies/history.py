"""What retries came to, for decisions: read in the background, so that no decision waits for it."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from events.errors import SpanledgerError
from projections.policies.asking import Known
from projections.policies.chances import Chance
from projections.policies.rule import Case
from projections.queries import Queries
from projections.query.lookup import find_tenant
from projections.views.recovery_actions.question import ActionRow, action_rows
from projections.views.retries.history import History, read_history

FRESH_S: Final = 60.0
_log = logging.getLogger(__name__)


class TenantHistory:
    """Of one tenant; `Chances` and `Look` of its decisions. Safe for any number of threads.

    Args:
        clock: seconds that never go back.
    """

    def __init__(
        self, queries: Queries, tenant: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._queries = queries
        self._tenant = tenant
        self._clock = clock
        self._history = History()
        self._actions: dict[tuple[str, str, str], ActionRow] = {}
        self._read_s: float | None = None
        self._lock = threading.Lock()

    def of(self, case: Case, attempt: int) -> Chance | None:
        """See `Chances.of`."""
        self._freshen()
        return self._history.of(case, attempt)

    def look(self, fingerprint: str) -> Known | None:
        """What is known of a pattern."""
        self._freshen()
        found = self._history.patterns.get(fingerprint)
        return None if found is None else found.known

    def action(self, case: Case, action: str) -> ActionRow | None:
        """What an action came to for failures of this category in this component."""
        self._freshen()
        return self._actions.get((case.category, action, case.component))

    def read(self) -> None:
        """Read what there is now; what was known stays if that fails."""
        try:
            with self._queries.views.read() as connection:
                number = find_tenant(connection, self._tenant)
                if number is not None:
                    self._history = read_history(connection, number, self._queries.verdicts)
                rows = action_rows(connection, self._tenant)
                self._actions = {row[:3]: row for row in rows}
        except SpanledgerError as exc:
            extra = {"action": "policies", "error": str(exc)}
            _log.debug("what retries came to could not be read", extra=extra)

    def _freshen(self) -> None:
        now_s = self._clock()
        if self._read_s is not None and now_s - self._read_s < FRESH_S:
            return
        with self._lock:
            is_first = self._read_s is None
            if not is_first and now_s - (self._read_s or 0.0) < FRESH_S:
                return
            self._read_s = now_s
        if is_first:
            self.read()
        else:
            threading.Thread(target=self.read, name="retries", daemon=True).start()


class Histories:
    """Of all tenants, each when it is asked for first; the last ones are kept."""

    KEPT: Final = 64

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self._kept: dict[str, TenantHistory] = {}
        self._lock = threading.Lock()

    def of(self, tenant: str) -> TenantHistory:
        """That of a tenant."""
        with self._lock:
            found = self._kept.pop(tenant, None) or TenantHistory(self._queries, tenant)
            self._kept[tenant] = found
            if len(self._kept) > self.KEPT:
                del self._kept[next(iter(self._kept))]
            return found
