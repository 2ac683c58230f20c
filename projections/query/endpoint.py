"""One kind of question, as a view's `question.py` declares it in its `ENDPOINTS`."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from projections.query.parameters import Question


class Endpoint(NamedTuple):
    """One kind of question.

    `path` is below /api/v1; a `{…}` part is an argument, which `argument` describes. `reads` names
    the projections whose positions count. `answer(inquiry, question, *arguments)` gives an
    `answers`.
    """

    path: str
    summary: str
    asks: type[Question]
    answers: Any
    reads: tuple[str, ...]
    answer: Callable[..., msgspec.Struct]
    argument: str = ""
