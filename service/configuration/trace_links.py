"""Where else a trace can be looked at: `NAME=URL` with `{trace_id}` in the URL."""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from events.errors import BadSetting

PLACE: Final = "{trace_id}"
_SCHEMES: Final = ("http://", "https://")


class TraceLink(NamedTuple):
    """A place that shows traces, under a name."""

    name: str
    template: str

    def to(self, trace_id: str) -> str:
        """The link to a trace, by its 32 hex digits."""
        return self.template.replace(PLACE, trace_id)


def trace_links(texts: Iterable[str]) -> Sequence[TraceLink]:
    """The places that `--trace-links` names.

    Raises:
        BadSetting: one has no name, is no web address, or does not say where the id goes.
    """
    found = []
    for text in texts:
        name, is_there, template = (part.strip() for part in text.partition("="))
        if not name or not is_there or not template.startswith(_SCHEMES) or PLACE not in template:
            raise BadSetting(
                f"--trace-links: expected NAME=URL with {PLACE} in it, such as "
                f"Jaeger=http://localhost:16686/trace/{PLACE}, not {text!r}"
            )
        found.append(TraceLink(name, template))
    return found
