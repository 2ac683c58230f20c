"""What may stand behind a set of spans: `{ … } | select(span.a, resource.b)`."""

import re
from typing import Final, NamedTuple

from service.tempo.traceql import Expression, field_of, parse

_SELECTS: Final = re.compile(
    r"(?P<set>.*\})\s*\|\s*select\s*\((?P<fields>[^(){}]*)\)\s*", re.DOTALL
)
_FIELD: Final = re.compile(r'(?:"(?:[^"\\]|\\.)*"|[^,"])+')


class Asked(NamedTuple):
    """What a search asks.

    Args:
        spans: what one span of the trace is.
        selected: scope and key of fields that are to be shown besides.
    """

    spans: Expression
    selected: tuple[tuple[str, str], ...] = ()


def parse_search(text: str) -> Asked:
    """A set of spans, and the fields that `select` names.

    Raises:
        NotUnderstood: it is not of this part of TraceQL; the message says what was met.
    """
    found = _SELECTS.fullmatch(text)
    if found is None:
        return Asked(parse(text))
    fields = [part.strip() for part in _FIELD.findall(found["fields"])]
    return Asked(parse(found["set"]), tuple(field_of(field) for field in fields or [""]))
