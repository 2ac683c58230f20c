"""Rules are data: checked, overridden, explained."""

from pathlib import Path

import pytest

from events.errors import BadSetting
from projections.errors.assessment import assess, record_of
from projections.errors.classify.classifier import Classifier, built_in_files, make_classifier
from projections.errors.classify.rule import read_rules
from projections.errors.suggest import GENERIC

OWN = """
[[rule]]
id = "own.licence"
category = "permission"
severity = "high"
transient = false
rank = 95
types = ["LicenceError"]
messages = ["licence (expired|exceeded)"]
reason = "the licence does not allow it"
suggestion = "Renew the licence of {name}."
"""
CLASSIFIER = make_classifier()


def category(classifier: Classifier = CLASSIFIER, **record: object) -> tuple[str, bool | None]:
    """What is said of a record."""
    found = assess(record_of(record), classifier)
    return found.category, found.transient


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("permission", "permissions"),
            r"own.toml, rule 'own.licence': key category: .*permissions",
        ),
        (('severity = "high"', "severity = 3"), "rule 'own.licence': key severity: "),
        (("rank = 95", "rank = 101"), "rule 'own.licence': key rank: 101 is not in 0 to 100"),
        (("licence (", "licence (("), "rule 'own.licence': key messages: .* is no pattern of RE2"),
        (("reason =", "reasons ="), "rule 'own.licence': .*reasons"),
        (('id = "own.licence"', "id = 3"), "rule no. 1: key id: "),
        (("types =", 'codes = ["503"]\ntypes ='), "key codes: '503' has no kind, as in http:503"),
        (("rank = 95", 'match = "all"\nmessages_ = 1'), "messages_"),
        (("[[rule]]", "[[rule"), "own.toml: "),
    ],
)
def test_a_bad_rule_is_told_by_file_rule_and_key(change: tuple[str, str], message: str) -> None:
    """Nobody has to guess what of a file was wrong."""
    with pytest.raises(BadSetting, match=message):
        read_rules(OWN.replace(*change), "own.toml")


def test_a_rule_needs_something_to_know_an_error_by() -> None:
    """One that matches nothing, or everything, is a mistake."""
    text = OWN.replace('types = ["LicenceError"]\n', "").replace("messages =", "types = [] #")
    with pytest.raises(
        BadSetting, match="key types: a rule needs types, messages, codes or frames"
    ):
        read_rules(text, "own.toml")


def test_two_rules_of_one_name_are_refused() -> None:
    """Within a file; between files the later one replaces the earlier."""
    with pytest.raises(BadSetting, match="key id: stands there twice"):
        read_rules(OWN + OWN, "own.toml")


def test_own_rules_win(tmp_path: Path) -> None:
    """A user's rule is asked first, from a file or a folder."""
    (tmp_path / "own.toml").write_text(OWN)
    record = {"type": "LicenceError", "message": "licence expired"}
    for place in (tmp_path, tmp_path / "own.toml"):
        own = make_classifier([place])
        assert category(own, **record) == ("permission", False)
        assert assess(record_of(record), own).why.rule == "own.licence"


def test_an_own_rule_replaces_a_shipped_one_of_its_name(tmp_path: Path) -> None:
    """So that what is shipped can be corrected."""
    (tmp_path / "own.toml").write_text(OWN.replace("own.licence", "network.refused"))
    own = make_classifier([tmp_path])
    assert len(own.rules) == len(CLASSIFIER.rules)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    """A misspelt path is no empty set of rules."""
    with pytest.raises(BadSetting, match=r"nope\.toml: no such file of rules"):
        make_classifier([tmp_path / "nope.toml"])


def test_shipped_rules_are_sound() -> None:
    """Each has its own id, below its file's name, and a suggestion that ends as a sentence."""
    rules = [rule for file in built_in_files() for rule in file.rules]
    assert len({rule.id for rule in rules}) == len(rules)
    for rule in rules:
        assert rule.suggestion.endswith(".")
        names = [piece.partition("}")[0] for piece in rule.suggestion.split("{")[1:]]
        assert set(names) <= GENERIC.keys(), rule.id


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"message": "connection timed out to postgres"}, ("timeout", True)),
        ({"type": "OperationalError", "message": "could not connect: Connection refused"},
         ("network", True)),
        ({"type": "OperationalError", "message": "FATAL: password authentication failed"},
         ("permission", False)),
        ({"type": "OperationalError", "message": "could not write: No space left on device"},
         ("file_system", False)),
        (
            {
                "type": "RateLimitError",
                "message": "slow down",
                "attributes": {"http.status_code": 429},
            },
            ("network", True),
        ),
        ({"type": "RateLimitError",
          "message": "Error code: 429 - {'error': {'code': 'insufficient_quota'}}"},
         ("permission", False)),
        ({"message": "SQLSTATE[HY000] [2002] No such file or directory"}, ("network", True)),
        ({"message": "SQLSTATE[HY000] [2002] Connection refused"}, ("network", True)),
        ({"message": "HTTP 504"}, ("timeout", True)),
        ({"message": "HTTP 413"}, ("validation", False)),
        ({"attributes": {"rpc.grpc.status_code": 4}}, ("timeout", True)),
        ({"attributes": {"process.exit.code": 124}}, ("timeout", True)),
        ({"attributes": {"db.response.status_code": "40P01"}}, ("database", True)),
        ({"message": "Something went wrong"}, ("unknown", None)),
        ({}, ("unknown", None)),
    ],
)  # fmt: skip
def test_specific_beats_general(
    record: dict[str, object], expected: tuple[str, bool | None]
) -> None:
    """The words of the categories, by example."""
    assert category(**record) == expected


CHAIN = """Traceback (most recent call last):
  File "/app/a.py", line 1, in connect
{cause}

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/a.py", line 2, in main
{thrown}"""


@pytest.mark.parametrize(
    ("cause", "thrown", "expected"),
    [
        ("ConnectionRefusedError: refused", "RuntimeError: sync failed", "network"),
        ("KeyError: 'eur'", "ValueError: unknown currency", "validation"),
        ("FileNotFoundError: x", "Exception: could not start", "file_system"),
    ],
)
def test_a_wrapper_is_what_it_wraps(cause: str, thrown: str, expected: str) -> None:
    """A general error says less than its cause, a domain's own error more."""
    found = assess(record_of({"stacktrace": CHAIN.format(cause=cause, thrown=thrown)}), CLASSIFIER)
    assert found.category == expected


@pytest.mark.parametrize("peer", ["10.0.0.7:5432", "db.shop.internal:5432", "cache:6379"])
def test_a_suggestion_names_a_value_of_the_record(peer: str) -> None:
    """Which peer: what a person would look for, and no number of the error."""
    message = f"Error 111 connecting to {peer}. Connection refused."
    found = assess(record_of({"message": message}), CLASSIFIER)
    assert f"Check that {peer} is running" in found.suggestion


def test_an_error_that_no_rule_knows_says_where_to_look() -> None:
    """Where it has a type and a stack, nobody is told to record them."""
    stack = (
        'Traceback (most recent call last):\n  File "/srv/shop/jobs.py", line 3, in send\n'
        "    raise Quibbled(order)\nshop.Quibbled: quibble 17"
    )
    found = assess(
        record_of({"type": "shop.Quibbled", "message": "quibble 17", "stacktrace": stack}),
        CLASSIFIER,
    )
    assert (found.category, found.transient) == ("unknown", None)
    assert found.reason == "no rule knows shop.Quibbled"
    assert found.suggestion.startswith("Look at jobs.py:send, which raises shop.Quibbled;")
