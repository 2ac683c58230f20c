"""How sure a verdict is: by the rule, by its rivals, and by what the error's words say of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.errors.classify import confidence
from projections.errors.classify.classifier import Classifier, built_in_files, make_classifier
from projections.errors.classify.rule import read_rules
from projections.errors.classify.words import Guess
from projections.errors.record import Record
from projections.errors.signature import signature_of

SAYS = {
    "the same": Guess("timeout", True, 0.9, ()),
    "nothing plain": Guess("timeout", True, 0.3, ()),
    "another": Guess("validation", False, 0.9, ()),
}
OWN = """
[[rule]]
id = "own.parcel"
category = "{}"
types = ["ParcelUnroutable"]
reason = "it is known here"
suggestion = "Look at the parcel."
"""


@pytest.mark.parametrize("rank", [20, 44, 45, 90])
@pytest.mark.parametrize("close", [False, True])
def test_words_that_agree_make_a_verdict_surer(rank: int, close: bool) -> None:
    """Silence is between agreement and contradiction; no words at all are silence."""
    sure = [confidence.of_rule("timeout", rank, close, guess) for guess in SAYS.values()]
    assert sure == sorted(sure, reverse=True)
    assert len(set(sure)) == 3
    assert confidence.of_rule("timeout", rank, close, None) == sure[1]


def test_general_rules_and_close_rivals_make_it_less_sure() -> None:
    """Whatever the words say."""
    for guess in SAYS.values():
        plain = confidence.of_rule("timeout", 80, False, guess)
        assert confidence.of_rule("timeout", 80, True, guess) < plain
        assert confidence.of_rule("timeout", 30, False, guess) < plain


@given(st.floats(0, 1), st.floats(0, 1))
def test_words_alone_are_never_surer_than_a_rule_that_they_agree_with(
    one: float, other: float
) -> None:
    """And what is likelier is surer."""
    low, high = sorted((one, other))
    assert 0 < confidence.of_words(low) <= confidence.of_words(high) < 0.9


def test_the_same_rule_is_less_sure_of_an_error_whose_words_speak_against_it() -> None:
    """Two rules of the same rank, of the same error."""
    told = signature_of(
        Record("shop.ParcelUnroutable", "deadline exceeded: request timed out after 30s", "", {})
    )
    sure = {}
    for category in ("timeout", "validation"):
        rules = read_rules(OWN.format(category).replace("types", "rank = 99\ntypes"), "own.toml")
        verdict = Classifier([*built_in_files(), rules]).classify(told)
        assert verdict.rule == "own.parcel"
        sure[category] = verdict.confidence
    assert sure["timeout"] > sure["validation"]


def test_what_nothing_is_known_of_is_hardly_sure() -> None:
    """Of such errors a reader could tell most."""
    nothing = signature_of(Record("", "xqzzt", "", {}))
    assert make_classifier().classify(nothing).confidence == confidence.UNTOLD < 0.5
