"""Two versions of fingerprints, compared on the signatures that there are."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from events.log.sqlite import load_queries
from projections.errors.fingerprints.versions import CURRENT, VERSIONS, Move, compare, version
from projections.errors.signature import Signature, decode_signature
from projections.query.endpoint import Endpoint
from projections.query.inquiry import Inquiry
from projections.query.parameters import Limit, Question
from projections.query.records import Behind, Hex, PositionText

SQL = load_queries("projections.views.error_versions", "question.sql")
_Version = Annotated[int, Meta(ge=1, le=max(VERSIONS))]


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """A pattern of one version, and those that are its of the other."""

    fingerprint: Hex
    says: Annotated[str, Meta(description="Type and message of one of its errors")]
    others: Annotated[list[Hex], Meta(description="Its patterns by the other version")]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What the new version would change."""

    old: int
    new: int
    signatures: Annotated[int, Meta(description="Different errors that were compared")]
    before: Annotated[int, Meta(description="Patterns by the old version")]
    after: Annotated[int, Meta(description="Patterns by the new version")]
    merged_count: int
    split_count: int
    merged: Annotated[list[Moved], Meta(description="Patterns of the new one that several become")]
    split: Annotated[list[Moved], Meta(description="Patterns of the old one that become several")]
    position: PositionText
    behind: Behind = []


class CompareQuestion(Question, frozen=True, kw_only=True):
    """Parameters of the comparison."""

    old: Annotated[_Version, Meta(description="The version to begin with.")] = 1
    new: Annotated[_Version, Meta(description="The one to compare it with.")] = CURRENT
    limit: Annotated[Limit, Meta(description="At most so many that merge, and that split.")] = 100


def comparison(inquiry: Inquiry, question: CompareQuestion) -> Comparison:
    """What would merge and what would split."""
    known = list(_signatures(inquiry))
    old, new = version(question.old), version(question.new)
    found = compare(known, old, new)
    before = {old(one).digest: one for one in known}
    after = {new(one).digest: one for one in known}
    return Comparison(
        old=question.old, new=question.new, signatures=len(known), before=found.before,
        after=found.after, merged_count=len(found.merged), split_count=len(found.split),
        merged=_shown(found.merged[: question.limit], after),
        split=_shown(found.split[: question.limit], before), position=str(inquiry.position),
        behind=inquiry.seen.behind,
    )  # fmt: skip


def _signatures(inquiry: Inquiry) -> Iterator[Signature]:
    for (content,) in inquiry.connection.execute(SQL["signatures"], {"tenant": inquiry.tenant_no}):
        yield decode_signature(content)


def _shown(moves: Sequence[Move], known: dict[str, Signature]) -> list[Moved]:
    return [
        Moved(fingerprint=move.one, says=_says(known[move.one]), others=list(move.several))
        for move in moves
    ]


def _says(signature: Signature) -> str:
    thrown = signature.thrown
    return ": ".join(part for part in (thrown.type, thrown.template) if part)


ENDPOINTS: Final = (
    Endpoint(
        "errors/compare", "What another version of fingerprints would merge, and what split.",
        CompareQuestion, Comparison, ("error_patterns",), comparison,
    ),
)  # fmt: skip
