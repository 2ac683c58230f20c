"""Where no rule knows an error, its words are weighed: learnt, shipped, told, and below rules."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from projections.errors.classify.classifier import Classifier, built_in_files, make_classifier
from projections.errors.classify.rule import read_rules
from projections.errors.classify.words import Counts, Kind, learn, shipped_words, words_of
from projections.errors.record import Record
from projections.errors.signature import Part, Signature, signature_of
from tests.errors_training import PATH, learnt, lines

CLASSIFIER = make_classifier()
OWN = """
[[rule]]
id = "own.parcel"
category = "execution"
rank = 20
types = ["ParcelUnroutable"]
reason = "it is known here"
suggestion = "Look at the parcel."
"""


def signature(type_: str, message: str) -> Signature:
    """Of an error without a stack."""
    return signature_of(Record(type_, message, "", {}))


def test_what_is_shipped_is_what_the_corpus_teaches() -> None:
    """Nobody edits the counts by hand: `python -m tests.errors_training` writes them."""
    assert PATH.read_bytes() == lines(learnt())
    assert len(PATH.read_bytes()) < 400_000


def test_learning_counts_an_error_once() -> None:
    """Ten occurrences of one error say no more than one."""
    one = Signature((Part("Odd", "the widget is gone"),))
    bad: Kind = ("validation", False)
    away: Kind = ("network", True)
    counts = learn([(one, bad, "a")] * 10 + [(one, away, "b")])
    assert counts.totals == (1, 1)
    assert counts.words["widget"] == (0, 1, 1, 1)


def test_an_error_that_no_rule_knows_is_told_by_its_words() -> None:
    """The reason names them, and the confidence is below that of rules."""
    told = CLASSIFIER.classify(signature("acme.SchemaFault", "the payload lacks a usable format"))
    assert (told.category, told.transient, told.rule) == ("validation", False, "learnt.words")
    assert "“" in told.reason
    assert told.confidence < 0.9


def test_own_rules_are_never_overruled_by_words() -> None:
    """However low they rank."""
    own = Classifier([*built_in_files(), read_rules(OWN, "own.toml")])
    told = own.classify(signature("ParcelUnroutable", "connection refused by timeout in schema"))
    assert told.rule != "learnt.words"


def test_words_that_were_never_met_say_nothing() -> None:
    """Guessing a cause would be an error."""
    assert shipped_words().guess(Signature((Part("", "xyzzy plugh"),))) is None or (
        CLASSIFIER.classify(Signature((Part("", "xyzzy plugh"),))).category == "unknown"
    )


@given(st.text(max_size=300), st.text(max_size=40))
def test_any_text_is_weighed_alike_twice(message: str, type_: str) -> None:
    """A guess depends on the signature alone, and its probability is one."""
    found = Signature((Part(type_, message),))
    guess = shipped_words().guess(found)
    assert guess == shipped_words().guess(found)
    assert guess is None or 0 < guess.probability <= 1.000001


def test_words_are_bounded() -> None:
    """A message of any length costs as many words as a long sentence has."""
    found = words_of(Signature((Part("E", "word and other " * 100_000),)))
    assert len(found) < 100


def test_the_counts_name_kinds_that_there_are() -> None:
    """Each row points at kinds, and counts no more errors than there are."""
    counts = msgspec.json.decode(PATH.read_bytes(), type=Counts)
    for row in counts.words.values():
        for at, number in zip(row[::2], row[1::2], strict=True):
            assert 0 < number <= counts.totals[at]


def test_words_do_not_guess_what_is_known_to_be_untold() -> None:
    """Who cancelled a request that waited is not told by its words, however plain they seem."""
    told = signature("CancelledError", "request was cancelled while waiting")
    guess = shipped_words().guess(told)
    assert guess is not None
    assert guess.category == "timeout"
    assert guess.probability > 0.9
    assert CLASSIFIER.classify(told).rule == "unknown.cancelled"
