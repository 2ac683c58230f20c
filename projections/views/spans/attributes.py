"""Which events of the log say an attribute: by the index, and then as they are stored.

A span says an attribute that it has itself or that its resource, its scope, an event or a link of
it has; values are compared as text, as a whole. Log records are asked about where the index has not
come yet, and nowhere else: it knows spans only.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from events.log.port import Recorded
from events.schema import Attributes, Context, LogRecord, Span
from projections.views.spans.blocks import Flags
from projections.views.spans.search import Query, Search
from projections.views.spans.tokens import ANY, seed_of, text_of, token

_KEPT_BLOCKS: Final = 256
_KEPT_EVENTS: Final = 20_000
Pair = tuple[str, str]


def has(attributes: Attributes, key: str, text: str) -> bool:
    """Whether this text is an attribute's value."""
    return key in attributes and text_of(attributes[key]) == text


def says(context: Context, span: Span, key: str, text: str) -> bool:
    """Whether a span says an attribute; see the module."""
    return (
        has(span.attributes, key, text)
        or has(context.scope_attributes, key, text)
        or has(context.resource_attributes, key, text)
        or any(has(event.attributes, key, text) for event in span.events)
        or any(has(link.attributes, key, text) for link in span.links)
    )


class Saying:
    """Answers for positions of a tenant's events, within one read transaction."""

    def __init__(self, search: Search, tenant: str) -> None:
        self._search = search
        self._tenant = tenant
        self._seed = seed_of(tenant)
        self._blocks: dict[tuple[int, int], Flags] = {}
        self._events: dict[int, Recorded] = {}

    def look(self, positions: Iterable[int]) -> None:
        """Read at once what of these the index does not know yet."""
        indexed = self._search.indexed()
        self.events([at for at in positions if at > indexed])

    def events(self, positions: Sequence[int]) -> list[Recorded]:
        """The events at some positions, those of other tenants left out."""
        if len(self._events) > _KEPT_EVENTS:
            self._events.clear()
        wanted = [at for at in positions if at not in self._events]
        self._events |= {each.position: each for each in self._search.fetch(wanted)}
        found = (self._events.get(at) for at in positions)
        return [each for each in found if each is not None and each.tenant == self._tenant]

    def says(self, position: int, key: str, text: str) -> bool:
        """Whether the event at a position says an attribute."""
        if position <= self._search.indexed() and not self._may(position, key, text):
            return False
        return any(_says(each, key, text) for each in self.events([position]))

    def lag(self) -> int:
        """How many events the index does not know yet."""
        return self._search.head() - self._search.indexed()

    def candidates(self, pairs: Sequence[Pair]) -> Iterator[int]:
        """Positions of events that may say all of these, the last stored first."""
        tail = range(self._search.head(), self._search.indexed(), -1)
        self.look(tail)
        yield from (at for at in tail if all(self.says(at, *pair) for pair in pairs))
        tokens = ((token(self._seed, ANY, ""),), *((token(self._seed, *pair),) for pair in pairs))
        query = Query(self._tenant, tokens, lambda context, span: True)
        for places in self._search.candidates(query):
            yield from places.tolist()

    def _may(self, position: int, key: str, text: str) -> bool:
        number, place = divmod(position - 1, self._search.shape.events)
        wanted = token(self._seed, key, text)
        flags = self._blocks.get((number, wanted))
        if flags is None:
            if len(self._blocks) >= _KEPT_BLOCKS:
                self._blocks.clear()
            flags = self._search.having(number, wanted)
            self._blocks[number, wanted] = flags
        return bool(flags[place])


def _says(recorded: Recorded, key: str, text: str) -> bool:
    event, context = recorded.event, recorded.context
    if isinstance(event, Span):
        return says(context, event, key, text)
    return isinstance(event, LogRecord) and (
        has(event.attributes, key, text) or has(context.resource_attributes, key, text)
    )
