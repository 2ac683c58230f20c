"""Where answers come from: the views of a local data folder, or a service over HTTP.

Both give the same documents for the same question.
"""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from events import names
from projections.queries import Queries
from service.cli.options import Asking, Where
from service.cli.source.folder import existing_folder


class Source(Protocol):
    """Answers questions in the words of the HTTP API."""

    where: str

    def ask(self, resource: str, filters: Mapping[str, Any]) -> dict[str, Any]:
        """The document at `resource` (below /api/v1, what it names encoded: `path_of`); filters
        that are None don't count."""
        ...

    def close(self) -> None: ...


class Remote(Source, Protocol):
    """A service that answers over HTTP, and takes what is written to it."""

    def send(
        self, resource: str, body: Mapping[str, Any], headers: Mapping[str, str]
    ) -> dict[str, Any]:
        """Write `body` to `resource` (below /api/v1); the service's answer."""
        ...


class LocalSource:
    """Asks the files of a data folder; a service may run on it or not."""

    def __init__(self, data: Path, tenant: str | None) -> None:
        self.where = str(data)
        self._data = data
        self._queries = Queries(data)
        self._tenant = tenant or names.DEFAULT_TENANT

    def ask(self, resource: str, filters: Mapping[str, Any]) -> dict[str, Any]:
        """See `Source.ask`."""
        given = {name: value for name, value in filters.items() if value is not None}
        if resource.startswith("alerts"):
            module = importlib.import_module("service.alerts.questions")
            found: dict[str, Any] = msgspec.to_builtins(
                module.answer(self._data, resource, given, self._tenant)
            )
            return found
        answer = self._queries.answer(resource, given, tenant=self._tenant)
        document: dict[str, Any] = msgspec.to_builtins(answer)
        return document

    def close(self) -> None:
        self._queries.close()


@contextmanager
def open_source(asking: Asking) -> Iterator[Source]:
    """The source that the options name; closed at the end of the block."""
    if asking.url is not None:
        with open_remote(asking, asking.url) as remote:
            yield remote
        return
    with closing(LocalSource(existing_folder(asking.data), asking.tenant)) as source:
        yield source


@contextmanager
def open_remote(where: Where, url: str) -> Iterator[Remote]:
    """The service at `url`, with what the options say of it; closed at the end of the block.

    Its HTTP client takes a tenth of a second to load, which questions of files don't need.
    """
    module = importlib.import_module("service.cli.source.remote")
    tls = module.tls_context(where.ca_file, where.cert_file, where.key_file)
    remote: Remote = module.RemoteSource(url, token=where.token, tenant=where.tenant, tls=tls)
    with closing(remote):
        yield remote
