"""How sure a verdict is: how often verdicts on such evidence were right on errors met first then.

Measured on the 605 errors of `blind_a` to `blind_e` with the rules and words of before each set was
known. Where the words of an error speak for the category of the rule, 98 % were right; where they
speak for another, 69 %. That tells more than by what the rule knew the error.
"""

from typing import Final

from projections.errors.classify.rule import Category
from projections.errors.classify.words import Guess

SPECIFIC_RANK: Final = 45
"""Rules below that are general: families of names and words."""
PLAIN: Final = 0.6
"""From which probability on words say something of a verdict."""
UNTOLD: Final = 0.4
"""That nothing tells the cause, if no rule knew the error: a reader often sees more."""
_AGREE: Final = (0.98, 0.88)
_OPEN: Final = (0.88, 0.63)
_AGAINST: Final = (0.78, 0.53)
"""Of specific rules and of general ones."""
_CLOSE_MALUS: Final = 0.08
_SLOPE: Final = 1.35
_OFFSET: Final = -0.4
_LEARNT_LEAST: Final = 0.2
_LEARNT_MOST: Final = 0.85


def of_rule(category: Category, rank: int, close: bool, guess: Guess | None) -> float:
    """That of a rule's verdict, by its rank, by a rival close to it, and by the error's words."""
    if guess is None or guess.probability <= PLAIN:
        sure = _OPEN
    else:
        sure = _AGREE if guess.category == category else _AGAINST
    return round(sure[rank < SPECIFIC_RANK] - (_CLOSE_MALUS if close else 0), 2)


def of_words(probability: float) -> float:
    """That of words alone: they take what they have not met for less than it is."""
    return round(min(_LEARNT_MOST, max(_LEARNT_LEAST, _SLOPE * probability + _OFFSET)), 2)
