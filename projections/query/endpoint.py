"""One kind of question, as a view's `question.py` declares it in its `ENDPOINTS`."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from projections.query.parameters import Question

Joins = Mapping[str, tuple[str, ...]]
"""Fields of an answer's records, by the projection whose rows they come from."""


class Endpoint(NamedTuple):
    """One kind of question.

    `path` is below /api/v1; a `{…}` part is an argument, which `argument` describes.
    `answer(inquiry, question, *arguments)` gives an `answers`.

    `reads` names the projections whose rows the answer is made of; none: all. `joins` names those
    that add fields to these rows: where one of them is behind the others, its fields are null and
    named in `behind`. An answer's position is the least of all of them.
    """

    path: str
    summary: str
    asks: type[Question]
    answers: Any
    reads: tuple[str, ...]
    answer: Callable[..., msgspec.Struct]
    argument: str = ""
    joins: Joins = MappingProxyType({})
