"""Which error patterns a list has; by verdict and state, too, which are concluded, not stored."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, Literal

from msgspec import Meta

from projections.errors.verdicts import Verdicts
from projections.query.parameters import TEXT_LIMIT, ListQuestion, Since, Text, Until
from projections.query.records import CategoryWord, SeverityWord
from projections.query.rows import Key, R, Rows
from projections.views.error_patterns.answers.course import State

OF_VERDICT: Final = ("category", "severity", "transient")


class ErrorsQuestion(ListQuestion, frozen=True, kw_only=True):
    """Parameters of a list of error patterns; times are those of the last occurrence."""

    pattern: Annotated[Text, Meta(description="Only the one with this fingerprint.")] | None = None
    task: Annotated[Text, Meta(description="Only patterns that touched this task.")] | None = None
    component: (
        Annotated[Text, Meta(description="Only patterns that touched this component.")] | None
    ) = None
    since: Since | None = None
    until: Until | None = None
    recovered: (
        Annotated[
            bool,
            Meta(
                description="Only patterns with a recovery, or without any.",
                extra={"negative": "unrecovered"},
            ),
        ]
        | None
    ) = None
    category: CategoryWord | None = None
    severity: SeverityWord | None = None
    transient: (
        Annotated[
            bool,
            Meta(
                description="Only what a retry may mend, or only what it will not.",
                extra={"negative": "lasting"},
            ),
        ]
        | None
    ) = None
    state: Annotated[State, Meta(description="Only in this state.")] | None = None
    q: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=TEXT_LIMIT,
                description="Prefix of the fingerprint (in any case, with dashes) or type.",
            ),
        ]
        | None
    ) = None
    sort: Annotated[
        Literal["-last_seen", "last_seen", "-first_seen", "first_seen", "-count", "count"],
        Meta(description="Order; a `-` in front turns it round."),
    ] = "-last_seen"


def chosen(
    rows: Rows[R],
    question: ErrorsQuestion,
    verdicts: Verdicts,
    signature: Callable[[R], bytes],
    state: Callable[[R], str],
) -> tuple[Rows[R], bool]:
    """The patterns that a question wants, and whether it leaves any out.

    Args:
        signature: of a pattern.
        state: of it; asked only where the rest holds, for it reads the views.
    """
    wanted = {name: getattr(question, name) for name in OF_VERDICT}
    wanted = {name: value for name, value in wanted.items() if value is not None}
    if not wanted and question.state is None:
        return rows, False

    def fits(row: R) -> bool:
        verdict, _ = verdicts.of(signature(row))
        return all(getattr(verdict, name) == value for name, value in wanted.items()) and (
            question.state is None or state(row) == question.state
        )

    def passed(keys: Sequence[Key]) -> Mapping[Key, R]:
        return {key: row for key, row in rows(keys).items() if fits(row)}

    return passed, True
