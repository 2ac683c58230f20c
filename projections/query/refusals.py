"""What a query can be refused with, besides the errors of the whole product.

Rejected
└── BadInput
    ├── BadQuestion          parameters that cannot be understood; `errors` names each
    └── BeyondHead           a position that the log has not reached yet
Unavailable
├── NotReached               the views had not seen the position in time
└── OfAnotherRelease         the views have other tables than this release asks for
"""

from events.errors import BadInput, Unavailable


class BadQuestion(BadInput):
    """Parameters of a query are wrong; `errors` has one (parameter, what is wrong) each."""

    def __init__(self, errors: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{name}: {detail}" for name, detail in errors))
        self.errors = errors


class BeyondHead(BadInput):
    """`min_position` lies beyond the log's end, so waiting would not help."""

    def __init__(self, wanted: int, head: int) -> None:
        super().__init__(f"position {wanted} is beyond the head of the log, which is {head}")
        self.position = head


class NotReached(Unavailable):
    """The views had seen the log only up to `position` when the wait was over."""

    def __init__(self, wanted: int, position: int, waited_s: float) -> None:
        super().__init__(
            f"the views have seen position {position}, not yet {wanted}, after {waited_s:g} s"
        )
        self.position = position


class OfAnotherRelease(Unavailable):
    """The views have not the tables or columns that this release's questions need.

    Live ones are being made anew; of the past only who made them can do that.
    """

    def __init__(self, view: str | None) -> None:
        remedy = (
            "they are being made anew: `spanledger projections status` says how far that is"
            if view is None
            else f"remove {view} and make it again with `spanledger projections rebuild`"
        )
        super().__init__(f"the views were made by another release; {remedy}", retry_after_s=5.0)
