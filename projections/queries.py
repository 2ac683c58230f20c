"""Answering questions on a data folder."""

import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec

from events import names
from events.errors import NotFound
from projections import endpoints
from projections.errors.verdicts import FOLDER, Verdicts
from projections.query import status
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry
from projections.query.log import Log
from projections.query.lookup import find_tenant
from projections.query.parameters import Question, parse
from projections.query.reading import Views
from projections.query.refusals import BeyondHead, NotReached, OfAnotherRelease
from projections.query.seen import seen_by, seen_by_all

POLL_S: Final = 0.02


class Queries:
    """All questions of one data folder; safe to use from many threads.

    Args:
        data: the data folder; a service may run on it or not.
        budget_s: the time that a question may take which no index serves.
        clock: nanoseconds since 1970, to which "lately" and "now" refer.
    """

    def __init__(
        self, data: Path, *, budget_s: float = 2.0, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.views = Views(data)
        self.log = Log(data)
        self._budget_s = budget_s
        self._clock = clock
        self.verdicts = Verdicts(data / FOLDER)

    def answer(
        self,
        resource: str,
        parameters: Mapping[str, Any],
        *,
        tenant: str = names.DEFAULT_TENANT,
    ) -> msgspec.Struct:
        """The answer at a path below /api/v1, as `endpoints.path_of` makes it.

        It waits for `min_position` first.

        Raises:
            BadQuestion, BeyondHead, NotFound: what is asked is wrong or unknown.
            NotReached, Unavailable: it may be answered later.
        """
        if resource.strip("/") == "log/head":
            return self.log_head()
        routed = endpoints.route(resource)
        if routed is None:
            raise NotFound(f"there is nothing at {resource[:200]!r}")
        endpoint, arguments = routed
        question = parse(endpoint.asks, parameters)
        ends = time.monotonic() + question.wait_s
        while not self.is_reached(endpoint, question, last=time.monotonic() >= ends):
            time.sleep(POLL_S)
        return self.ask(endpoint, question, arguments, tenant=tenant)

    def ask(
        self,
        endpoint: Endpoint,
        question: Question,
        arguments: Sequence[str],
        *,
        tenant: str,
        within_s: float | None = None,
    ) -> msgspec.Struct:
        """The answer of an endpoint, as the views are now; if another release made them, as far
        as their tables tell.

        Args:
            within_s: the time that the question may take, if that is less than any may.
        """
        budget_s = self._budget_s if within_s is None else min(within_s, self._budget_s)
        try:
            return self._ask(endpoint, question, arguments, tenant, budget_s)
        except OfAnotherRelease:
            if self.views.supplement(question.view) is not None:
                raise
        older = import_module("projections.older")  # rarely needed, and much to load
        self.views.supply(question.view, older.supplement_of)
        return self._ask(endpoint, question, arguments, tenant, budget_s)

    def _ask(
        self,
        endpoint: Endpoint,
        question: Question,
        arguments: Sequence[str],
        tenant: str,
        budget_s: float,
    ) -> msgspec.Struct:
        with self.views.read(question.view) as connection:
            supplement = self.views.supplement(question.view)
            if supplement is not None and supplement.absent & {*endpoint.reads}:
                raise OfAnotherRelease(question.view)
            inquiry = Inquiry(
                connection,
                tenant,
                find_tenant(connection, tenant),
                seen_by(connection, endpoint, supplement),
                budget_s,
                "/".join((endpoint.path, *arguments)),
                self.log,
                self.verdicts,
                self._clock(),
            )
            return endpoint.answer(inquiry, question, *arguments)

    def is_reached(self, endpoint: Endpoint, question: Question, *, last: bool) -> bool:
        """Whether the endpoint's views have seen the question's `min_position`.

        Raises:
            BeyondHead: the log itself is not that far.
            NotReached: they have not, and this was the `last` look.
        """
        if question.min_position is None:
            return True
        wanted = int(question.min_position)
        with self.views.read(question.view) as connection:
            position = seen_by(connection, endpoint).position
        if position >= wanted:
            return True
        head = self.log.head()
        if wanted > head:
            raise BeyondHead(wanted, head)
        if last or question.view is not None:  # a view of the past does not move on
            raise NotReached(wanted, position, question.wait_s)
        return False

    def seen(self) -> int:
        """The position that every projection has seen."""
        with self.views.read() as connection:
            return seen_by_all(connection)

    def log_head(self) -> status.LogHead:
        """The end of the log."""
        return status.log_head(self.log)

    def counts(self, tenant: str) -> dict[str, int]:
        """Tasks, runs and attempts of a tenant."""
        with self.views.read() as connection:
            values = {"tenant": find_tenant(connection, tenant)}
            row = connection.execute(status.SQL["counts"], values).fetchone()
        return dict(zip(("tasks", "runs", "attempts"), row, strict=True))

    def close(self) -> None:
        """Close every file."""
        self.views.close()
        self.log.close()
