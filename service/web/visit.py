"""What a page's function gets and gives."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple, get_args

import msgspec

from events.errors import BadInput
from events.times import rfc3339
from projections.endpoints import ENDPOINTS
from projections.queries import Queries
from projections.query.endpoint import Endpoint
from projections.query.parameters import parse
from projections.query.refusals import BadQuestion
from projections.query.times import parse_moment
from service.access.proxies import Place
from service.access.tokens import Admission
from service.configuration.settings import Settings
from service.configuration.trace_links import trace_links
from service.policies.applying import Applying
from service.web.acting.verification import Verification
from service.web.links import Links

_ENDPOINTS: Final = {endpoint.path: endpoint for endpoint in ENDPOINTS}
_MOMENTS: Final = ("since", "until")


class Said(dict[str, str]):
    """Parameters by name; one that was not given reads as an empty text."""

    def __missing__(self, name: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page.

    `parameters` are those of the query string that say something; `arguments` are the decoded
    parts of the path that name something. `csrf` is what forms of the page must send back.
    """

    queries: Queries
    settings: Settings
    policies: Applying
    who: Admission
    place: Place
    links: Links
    parameters: Said
    arguments: Sequence[str] = ()
    csrf: str = ""
    theme: str = ""
    now_ns: int = field(default_factory=time.time_ns)
    missing: Callable[[], list[str]] = list
    verification: Verification | None = None

    @property
    def tenant(self) -> str:
        """The tenant whose rows are shown."""
        return self.who.tenant

    def ask(
        self, path: str, *arguments: str, within_s: float | None = None, **parameters: Any
    ) -> Any:
        """The answer of the endpoint with this path, as the API gives it; in less time, if that
        is said.

        Raises:
            BadQuestion, NotFound, Unavailable: as `Queries.ask`.
        """
        return self.ask_of(_ENDPOINTS[path], *arguments, within_s=within_s, **parameters)

    def ask_of(
        self,
        endpoint: Endpoint,
        *arguments: str,
        within_s: float | None = None,
        **parameters: Any,
    ) -> Any:
        """See `ask`."""
        given = {name: value for name, value in parameters.items() if value is not None}
        question = parse(endpoint.asks, given)
        return self.queries.ask(
            endpoint, question, arguments, tenant=self.tenant, within_s=within_s
        )

    @staticmethod
    def kind_of(path: str) -> type[msgspec.Struct]:
        """What the records of a list are, whose endpoint has this path."""
        (kind,) = get_args(_ENDPOINTS[path].answers)
        assert isinstance(kind, type)
        return kind

    def filters(self, **defaults: str) -> Said:
        """The page's parameters over `defaults`, with ages such as `since=1h` made into times.

        Raises:
            BadQuestion: a time is none.
        """
        given = Said(defaults | self.parameters)
        for name in _MOMENTS:
            if name in given:
                try:
                    given[name] = rfc3339(parse_moment(given[name], self.now_ns)) or ""
                except BadInput as exc:
                    raise BadQuestion([(name, str(exc))]) from exc
        return given

    def elsewhere(self, trace_id: str | None) -> list[tuple[str, str]]:
        """The names and links of other places that show this trace: `--trace-links`."""
        if not trace_id:
            return []
        return [
            (place.name, place.to(trace_id)) for place in trace_links(self.settings.trace_links)
        ]

    def leaving_out(self, *names: str) -> "Visit":
        """The same request without some parameters."""
        kept = {name: value for name, value in self.parameters.items() if name not in names}
        return replace(self, parameters=Said(kept))

    def refuse_others(self, *known: str) -> None:
        """See to it that only `known` parameters are given.

        Raises:
            BadQuestion: there is another.
        """
        told = f"unknown parameter; known here: {', '.join(sorted(known)) or 'none'}"
        unknown = [(name[:64], told) for name in self.parameters if name not in known]
        if unknown:
            raise BadQuestion(unknown)


class Shown(NamedTuple):
    """What a page shows: a template of `service/web/templates`, and its values."""

    template: str
    title: str
    values: Mapping[str, Any]


class Table(NamedTuple):
    """What a page gives as a file instead: its name, the kind of its records, all of them in parts
    that are asked for one after the other, and its form, `csv` or `json`."""

    name: str
    kind: type[msgspec.Struct]
    parts: Iterator[Sequence[msgspec.Struct]]
    form: str = "csv"


class Moved(NamedTuple):
    """Where the answer is instead: a link."""

    link: str


class Page(NamedTuple):
    """A page: its path with `{…}` for arguments, and the function that makes it.

    One that is the same for all who may see a tenant may be kept for some seconds: `kept_s`.
    """

    path: str
    show: Callable[[Visit], Shown | Table | Moved]
    kept_s: float = 0.0
