"""What is decided of a failed attempt."""

import time
from email.utils import formatdate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.errors.classify.classifier import make_classifier
from projections.policies.asking import AskedError, DecideQuestion, Known, understood
from projections.policies.backoff import pause_after, retry_after_s
from projections.policies.chances import Chance, chance, wilson
from projections.policies.decision import Decision, Failure, decide
from projections.policies.reading import built_in, read_policies
from projections.policies.resolving import PolicySet
from projections.policies.rule import Case

CLASSIFIER = make_classifier()


def rules(defaults: str) -> PolicySet:
    """Policies with these defaults alone."""
    return read_policies(f"inherit = false\n[defaults]\n{defaults}\n", "p.toml")


def decided(policies: PolicySet, category: str = "network", **said: Any) -> Decision:
    """The decision of a failure that will pass, unless said otherwise."""
    values: dict[str, Any] = {"transient": True, **said}
    return decide(policies, Failure(case=Case(category=category), **values))


@pytest.mark.parametrize(
    ("word", "again"),
    [("never", ()), ("transient", (True,)), ("unless_permanent", (True, None)),
     ("always", (True, None, False))],
)  # fmt: skip
def test_which_errors_are_tried_again(word: str, again: tuple[bool | None, ...]) -> None:
    """By the word of the policy and whether an error will pass."""
    policies = rules(f'retry = "{word}"\nmax_attempts = 3')
    found = {t: decided(policies, transient=t).retry for t in (True, None, False)}
    assert found == {t: t in again for t in found}


@given(st.integers(1, 12), st.integers(1, 12))
def test_no_attempt_beyond_the_last_is_asked_for(made: int, most: int) -> None:
    """Whatever is said of the error."""
    policies = rules(f'retry = "always"\nmax_attempts = {most}')
    assert decided(policies, attempts=made).retry is (made < most)


def test_people_hear_of_what_is_given_up() -> None:
    """When no attempt is left, when it will not pass, or from some number on."""
    policies = rules(
        'retry = "transient"\nmax_attempts = 3\n'
        'escalate = { exhausted = true, permanent = true, after_attempts = 2, to = "ops" }'
    )
    assert not decided(policies).escalate
    assert decided(policies, attempts=2).escalate_to == "ops"
    assert decided(policies, attempts=3).escalate
    assert decided(policies, transient=False).escalate
    quiet = rules('retry = "transient"\nmax_attempts = 2')
    assert not decided(quiet, attempts=2).escalate
    assert not decided(quiet, transient=False).escalate


def test_a_retry_after_is_never_undercut_nor_waited_for_too_long() -> None:
    """It is the least pause; beyond the bound there is no retry, and people hear of it."""
    found = decided(built_in(), retry_after_s=90.0)
    assert found.retry
    assert (found.delay_s, found.delay_min_s) == (90.0, 90.0)
    assert decided(built_in(), retry_after_s=0.1).delay_max_s == 1.0
    late = decided(built_in(), retry_after_s=5000.0)
    assert not late.retry
    assert late.escalate
    assert "5000 s" in late.reason


def test_a_run_ends_within_its_bound() -> None:
    """A pause that leads beyond it is not begun."""
    assert not decided(built_in(), elapsed_s=3600.5).retry
    assert not decided(built_in(), elapsed_s=3550.0, retry_after_s=60.0).retry
    assert decided(built_in(), elapsed_s=3500.0, retry_after_s=60.0).retry


def test_what_does_not_pass_may_be_repaired_so_often() -> None:
    """Actions are named, and another attempt depends on them."""
    found = decided(built_in(), "permission", transient=False)
    assert (found.retry, found.repair, found.actions) == (False, True, ("renew_credentials",))
    assert not decided(built_in(), "permission", transient=False, attempts=2).repair
    assert not decided(built_in(), "validation", transient=False).repair


def test_a_timeout_is_extended_within_its_cap() -> None:
    """Each time by the factor; other failures keep the first bound."""
    policies = read_policies(
        '[[rule]]\nid = "t"\nwhen = { category = ["timeout", "network"] }\n'
        "timeout = { attempt_s = 10, factor = 2, cap_s = 50 }\n", "p",
    )  # fmt: skip
    found = [decided(policies, "timeout", attempts=n).timeout_s for n in (1, 2, 3, 900)]
    assert found == [20.0, 40.0, 50.0, 50.0]
    assert decided(policies, "network", attempts=3).timeout_s == 10.0
    assert decided(built_in(), "network").timeout_s is None


class Seen:
    """History of so many retries."""

    def __init__(self, tried: int, succeeded: int) -> None:
        self._found = chance("pattern", 2, tried, succeeded)

    def of(self, case: Case, attempt: int) -> Chance | None:
        """See `Chances.of`."""
        return self._found


def test_what_never_helped_is_not_tried_again() -> None:
    """Where enough was tried; a few failures prove nothing."""
    failure = Failure(case=Case(category="network"), transient=True)
    hopeless = decide(built_in(), failure, Seen(400, 0))
    assert not hopeless.retry
    assert "of 400 such retries 0 succeeded" in hopeless.reason
    assert decide(built_in(), failure, Seen(49, 0)).retry
    assert decide(built_in(), failure, Seen(400, 8)).retry


@given(st.integers(0, 400), st.integers(0, 400))
def test_the_interval_holds_the_share(first: int, second: int) -> None:
    """It stays within 0 and 1, and is narrower where more was tried."""
    succeeded, tried = min(first, second), max(first, second)
    low, high = wilson(succeeded, tried)
    assert 0 <= low <= high <= 1
    if tried:
        assert low - 1e-9 <= succeeded / tried <= high + 1e-9
        more = wilson(succeeded * 10, tried * 10)
        assert more[1] - more[0] <= high - low + 1e-9


def test_the_interval_is_that_of_the_literature() -> None:
    """Newcombe (1998), table I, method 3: 81 of 263, 15 of 148, 0 of 20, 1 of 29."""
    told = [wilson(81, 263), wilson(15, 148), wilson(0, 20), wilson(1, 29)]
    wanted = [(0.2553, 0.3662), (0.0624, 0.1605), (0.0, 0.1611), (0.0061, 0.1718)]
    assert [(round(low, 4), round(high, 4)) for low, high in told] == wanted


@given(
    st.sampled_from(["none", "constant", "linear", "exponential"]),
    st.sampled_from(["none", "equal", "full"]),
    st.integers(1, 5000), st.floats(0, 100), st.floats(1, 100), st.floats(0, 600), st.floats(0, 1),
)  # fmt: skip
def test_a_pause_stays_within_its_cap(
    kind: str, jitter: str, failed: int, base_s: float, factor: float, cap_s: float, luck: float
) -> None:
    """And what is drawn within the bounds that are told; numbers too large for a float, too."""
    pause = pause_after(failed, {
        "backoff.kind": kind, "backoff.base_s": base_s, "backoff.factor": factor,
        "backoff.cap_s": cap_s, "backoff.jitter": jitter,
    })  # fmt: skip
    assert 0 <= pause.least_s <= pause.drawn(luck) + 1e-9
    assert pause.drawn(luck) <= pause.most_s + 1e-9 <= cap_s + 2e-9


def test_pauses_grow_as_their_kind_says() -> None:
    """The first is the base."""

    def pauses(kind: str) -> list[float]:
        values = rules(f'backoff = {{ kind = "{kind}", base_s = 2, factor = 3, cap_s = 40 }}')
        settings = values.policy(Case()).values
        return [pause_after(n, settings).most_s for n in (1, 2, 3, 4)]

    assert pauses("none") == [0, 0, 0, 0]
    assert pauses("constant") == [2, 2, 2, 2]
    assert pauses("linear") == [2, 4, 6, 8]
    assert pauses("exponential") == [2, 6, 18, 40]


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(12, 12.0), ("12", 12.0), (" 1.5 ", 1.5), (["7"], 7.0), (-3, 0.0), ("soon", None),
     (None, None), (True, None), ("nan", None), ("Mon, 01 Jan 99999999999999999999 0:0 GMT", None),
     ("Mon, 01 Jan 2024 00:00:00 +99999999999999", None), ("inf", 31_536_000.0), ([], None),
     (formatdate(1_800_000_030, usegmt=True), 30.0), (formatdate(1_700_000_000), 0.0)],
)  # fmt: skip
def test_every_form_of_a_retry_after_is_read(given: Any, seconds: float | None) -> None:
    """Seconds, as number or text, and dates of HTTP."""
    assert retry_after_s(given, 1_800_000_000) == seconds


def test_an_error_is_classified_and_what_is_said_wins() -> None:
    """Of a question with an error; its header asks for a pause."""
    error = AskedError(
        type="requests.exceptions.HTTPError", message="503 Server Error: busy",
        attributes={"http.response.status_code": 503, "http.response.header.retry-after": ["7"]},
    )  # fmt: skip
    asked = understood(DecideQuestion(error=error, component="billing"), CLASSIFIER, 0.0)
    assert (asked.failure.case.category, asked.failure.transient) == ("network", True)
    assert asked.failure.retry_after_s == 7.0
    assert asked.failure.case.fingerprint
    said = DecideQuestion(error=error, category="database", transient=False)
    told = understood(said, CLASSIFIER, 0.0)
    assert (told.failure.case.category, told.failure.transient) == ("database", False)


def test_a_fingerprint_is_looked_up() -> None:
    """What the log knows of the pattern counts; an unknown one is told by nothing."""
    known = {"f1": Known(fingerprint="f1", category="database", transient=True)}
    question = DecideQuestion(fingerprint="f1")
    assert understood(question, CLASSIFIER, 0.0, known.get).failure.case.category == "database"
    other = understood(DecideQuestion(fingerprint="f2"), CLASSIFIER, 0.0, known.get)
    assert (other.failure.case.category, other.failure.case.fingerprint) == ("unknown", "f2")


def test_a_decision_takes_far_less_than_its_bound() -> None:
    """5 ms is the bound; a decision of a fresh error takes less processor time than that."""
    question = DecideQuestion(error=AskedError(type="OSError", message="[Errno 28] No space left"))
    begun = time.process_time()
    for number in range(50):
        asked = understood(msg_changed(question, number), CLASSIFIER, 0.0)
        decide(built_in(), asked.failure)
    assert (time.process_time() - begun) / 50 < 0.005


def msg_changed(question: DecideQuestion, number: int) -> DecideQuestion:
    """The same question of another error, so that nothing is remembered."""
    assert question.error is not None
    return DecideQuestion(
        error=AskedError(type=f"Own{number}Error", message=f"{question.error.message} {number}")
    )
