"""What is said of an error."""

import msgspec

from projections.errors.classify.rule import Category, Severity


class Verdict(msgspec.Struct, frozen=True):
    """An error's category, with the rule that decided."""

    category: Category
    severity: Severity
    transient: bool | None  # None: nobody could tell
    confidence: float  # 0 to 1: how often such a verdict is right
    reason: str
    suggestion: str  # with names in braces where values of the record belong
    rule: str  # its id; empty where no rule knew the error
    matched: str  # what of the error it knew
