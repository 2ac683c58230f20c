"""`with_recovery`: decisions, remedies, circuits, and the local copy of the policies."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projections.policies import decision as service_decision
from projections.policies import rule as service_rule
from projections.policies.reading import built_in, read_policies
from projections.policies.resolving import PolicySet, said
from sdk.tests.shipped_policies import FILE, shipped_text
from spanledger_sdk.recovery import CircuitOpen, attempt_timeout_s, with_recovery
from spanledger_sdk.recovery.asking import Policies
from spanledger_sdk.recovery.circuit import Circuit, circuit_of, forget_circuits
from spanledger_sdk.recovery.kinds import kind_of
from spanledger_sdk.recovery.retrying import go_by
from spanledger_sdk.recovery.rules import Case, Rules, shipped
from spanledger_sdk.settings import Settings
from spanledger_sdk.testing import Capture

from .collector import Reply, collecting

QUICK = """
[defaults]
backoff = { kind = "constant", base_s = 0.001, cap_s = 0.001, jitter = "none" }
[[rule]]
id = "network"
when = { category = "network" }
max_attempts = 4
[[rule]]
id = "timeout"
when = { category = "timeout" }
actions = ["extend_timeout"]
[[rule]]
id = "own"
when = { task = "bounded" }
timeout = { attempt_s = 0.05, factor = 40, cap_s = 10 }
"""


def rules_of(policies: PolicySet) -> Rules:
    """The SDK's copy of policies, as the service would list them."""
    items = [
        {"when": dict(p.rule.when.asked()), "settings": dict(said(p.rule))}
        for p in policies.strongest_first()
    ]
    return Rules({"digest": policies.digest, "items": items})


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Policies with short pauses; circuits begin anew."""
    forget_circuits()
    go_by(Policies(Settings(), rules_of(read_policies(QUICK, "quick"))))
    yield
    go_by(None)
    forget_circuits()


def events_of(seen: Capture, number: int) -> list[dict[str, Any]]:
    """The recoveries that the spans tell, of one attempt."""
    spans = [s for s in seen.spans if (s.attributes or {}).get("task.attempt") == number]
    return [
        {k.removeprefix("task.recovery."): v for k, v in (event.attributes or {}).items()}
        for span in spans
        for event in span.events
        if event.name == "task.recovery"
    ]


def failing(times: int, error: BaseException, calls: list[int]) -> Any:
    """A function that fails so often, and is well then."""

    def work() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "well"

    return work


def test_what_passes_is_tried_again_and_each_retry_is_an_event(spanledger: Capture) -> None:
    """As often as the policy says; the retry that succeeded says so."""
    calls: list[int] = []
    work = with_recovery("t")(failing(2, ConnectionResetError("reset"), calls))
    assert work() == "well"
    spanledger.assert_attempts("t", "failed", "failed", "completed")
    (second,), (third,) = events_of(spanledger, 2), events_of(spanledger, 3)
    assert (second["action"], second["outcome"], second["category"]) == (
        "retry", "failed", "network",
    )  # fmt: skip
    assert third["outcome"] == "succeeded"
    assert third["duration"] == 0.001
    assert second["reason"] == "it will pass: attempt 2 of 4 follows"


def test_a_choice_by_past_success_is_told(spanledger: Capture) -> None:
    """The event of an action says what it came to before, which gave it its place."""
    answer = {
        "retry": True, "reason": "it will pass", "delay_s": 0.0, "repair": False,
        "actions": ["reconnect", "restart", "purge"], "max_attempts": 2, "timeout_s": None,
        "category": "database", "policies": "p",
        "helped": [{"action": "reconnect", "tried": 14, "succeeded": 12},
                   {"action": "restart", "tried": 0, "succeeded": 0}],
    }  # fmt: skip
    done = {name: (lambda error: True) for name in answer["actions"]}
    with collecting() as service:
        service.reply = lambda request: Reply(body=json.dumps(answer).encode())
        go_by(Policies(Settings(api=service.url), rules_of(read_policies(QUICK, "quick"))))
        work = with_recovery("t", actions=done)(failing(1, ConnectionResetError("reset"), []))
        assert work() == "well"
    told = [(one["action"], one.get("reason")) for one in events_of(spanledger, 1)]
    assert told == [("reconnect", "12 of 14 succeeded before"), ("restart", None), ("purge", None)]


@pytest.mark.parametrize(
    ("error", "most"),
    [(ConnectionRefusedError("no"), 4), (ValueError("bad"), 1), (KeyError("x"), 1),
     (FileNotFoundError(2, "none"), 1), (RuntimeError("?"), 2)],
)  # fmt: skip
def test_nothing_is_tried_more_often_than_the_policy_says(error: Exception, most: int) -> None:
    """What does not pass is tried once; the last exception reaches the caller."""
    calls: list[int] = []
    with pytest.raises(type(error)):
        with_recovery("t")(failing(99, error, calls))()
    assert len(calls) == most


def test_cancellation_is_never_retried() -> None:
    """Nor Ctrl-C."""
    calls: list[int] = []
    with pytest.raises(KeyboardInterrupt):
        with_recovery("t")(failing(9, KeyboardInterrupt(), calls))()
    assert len(calls) == 1


def test_a_retry_after_is_heeded() -> None:
    """Of an exception that carries a response, as those of HTTP clients."""

    class Response:
        status_code = 429
        headers = {"Retry-After": "0.15"}

    class HTTPError(Exception):
        response = Response()

    calls: list[int] = []
    begun = time.monotonic()
    assert with_recovery("t")(failing(1, HTTPError(), calls))() == "well"
    assert time.monotonic() - begun >= 0.15


def test_only_given_paths_are_cleaned(tmp_path: Path, spanledger: Capture) -> None:
    """A full disk is tried again once something was removed; the folder and others stay."""
    scratch, other = tmp_path / "scratch", tmp_path / "other"
    for folder in (scratch, other):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "file").write_text("x")
    calls: list[int] = []
    full = OSError(28, "No space left on device")
    assert with_recovery("t", temporary=[scratch])(failing(1, full, calls))() == "well"
    assert list(scratch.iterdir()) == []
    assert (other / "deep" / "file").exists()
    assert events_of(spanledger, 1)[0]["action"] == "clean_temporary"
    calls.clear()
    with pytest.raises(OSError, match="space"):
        with_recovery("t", temporary=[scratch])(failing(1, full, calls))()
    assert len(calls) == 1  # nothing was left to remove


def test_permission_is_the_programs_own_matter() -> None:
    """Without a function for it nothing is done; with one, once, if it succeeds."""
    denied = PermissionError(13, "denied")
    calls: list[int] = []
    with pytest.raises(PermissionError):
        with_recovery("t")(failing(1, denied, calls))()
    asked: list[BaseException] = []
    calls.clear()
    work = with_recovery("t", renew_credentials=asked.append)(failing(1, denied, calls))
    assert work() == "well"
    assert asked == [denied]
    calls.clear()
    with pytest.raises(PermissionError):
        with_recovery("t", renew_credentials=lambda _: False)(failing(1, denied, calls))()
    with pytest.raises(PermissionError):
        with_recovery("t", renew_credentials=asked.append)(failing(9, denied, calls))()
    assert len(calls) == 3  # one, and two: a permanent error is repaired once


@pytest.mark.trouble
def test_a_remedy_that_fails_does_not_hide_the_error(spanledger: Capture) -> None:
    """The error itself reaches the caller, and the event says that the remedy failed."""

    def broken(error: BaseException) -> None:
        raise RuntimeError("no vault")

    with pytest.raises(PermissionError):
        with_recovery("t", renew_credentials=broken)(failing(9, PermissionError(13, "x"), []))()
    assert events_of(spanledger, 1)[0]["outcome"] == "failed"


def test_a_coroutine_is_ended_and_given_more_time() -> None:
    """Within the bound of the policy; the second attempt may take longer."""
    bounds: list[float | None] = []

    @with_recovery("bounded")
    async def work() -> str:
        bounds.append(attempt_timeout_s())
        await asyncio.sleep(0.2)
        return "well"

    assert asyncio.run(work()) == "well"
    assert bounds == [0.05, 2.0]
    assert attempt_timeout_s() is None


VALUES = {"circuit.failures": 3, "circuit.window_s": 10.0, "circuit.open_s": 5.0}


def test_a_circuit_opens_tries_one_call_and_closes() -> None:
    """After so many failures in a row within the window; permanent ones don't count."""
    now = [0.0]
    circuit = Circuit("bank", clock=lambda: now[0])
    assert not circuit.failed(VALUES, counts=False)
    assert [circuit.failed(VALUES, counts=True) for _ in range(3)] == [False, False, True]
    with pytest.raises(CircuitOpen) as caught:
        circuit.require()
    assert caught.value.retry_after_s == 5.0
    now[0] = 5.0
    circuit.require()
    with pytest.raises(CircuitOpen):
        circuit.require()  # one tries, the others wait
    assert circuit.failed(VALUES, counts=True)
    now[0] = 10.0
    circuit.require()
    circuit.succeeded()
    circuit.require()
    circuit.failed(VALUES, counts=True)
    now[0] = 30.0  # the window is over
    assert [circuit.failed(VALUES, counts=True) for _ in range(2)] == [False, False]


def test_a_trial_that_is_cancelled_leaves_its_place_to_another() -> None:
    """Ctrl-C says nothing of the component: the next call tries it again."""
    circuit = circuit_of("bank")
    while not circuit.failed({**VALUES, "circuit.open_s": 0.0}, counts=True):
        pass
    ended = iter([KeyboardInterrupt])

    @with_recovery("pay", component="bank")
    def pay() -> str:
        for error in ended:
            raise error
        return "paid"

    with pytest.raises(KeyboardInterrupt):
        pay()
    assert pay() == "paid"


def test_a_component_that_is_left_alone_is_not_called() -> None:
    """New calls fail at once; runs that are under way wait for the circuit, within their time."""
    text = QUICK + (
        '[[rule]]\nid = "c"\nwhen = { component = "bank" }\n'
        "circuit = { failures = 2, window_s = 60, open_s = 0.2 }\n"
    )
    go_by(Policies(Settings(), rules_of(read_policies(text, "p"))))
    calls: list[int] = []
    work = with_recovery("t", component="bank")(failing(2, ConnectionResetError(), calls))
    begun = time.monotonic()
    assert work() == "well"
    assert time.monotonic() - begun >= 0.2
    calls.clear()
    opened = circuit_of("bank").failed({**VALUES, "circuit.failures": 1}, counts=True)
    assert opened
    with pytest.raises(CircuitOpen):
        work()
    assert calls == []


def test_the_copy_of_the_shipped_policies_is_theirs() -> None:
    """`python -m sdk.tests.shipped_policies` writes it anew."""
    assert FILE.read_text("utf-8") == shipped_text()
    assert shipped().digest == built_in().digest


@given(
    st.sampled_from(["network", "database", "timeout", "file_system", "permission", "validation",
                     "execution", "unknown"]),
    st.sampled_from([True, False, None]), st.integers(1, 7), st.floats(0, 5000),
    st.one_of(st.none(), st.floats(0, 2000)), st.sampled_from(["", "dev", "prod"]), st.floats(0, 1),
    st.sampled_from(["", "bounded"]),
)  # fmt: skip
def test_the_copy_decides_as_the_service_does(
    category: str, transient: bool | None, attempts: int, elapsed_s: float,
    asked_s: float | None, environment: str, luck: float, task: str,
) -> None:  # fmt: skip
    """Without history there is no difference, whatever failed."""
    for policies in (built_in(), read_policies(QUICK, "quick")):
        theirs = service_decision.decide(
            policies,
            service_decision.Failure(
                case=service_rule.Case(category=category, environment=environment, task=task),
                transient=transient, attempts=attempts, elapsed_s=elapsed_s, retry_after_s=asked_s,
            ), luck=luck,
        )  # fmt: skip
        ours = rules_of(policies).decide(
            Case(category=category, transient=transient, attempts=attempts, elapsed_s=elapsed_s,
                 retry_after_s=asked_s, environment=environment, task=task), luck,
        )  # fmt: skip
        assert (ours.retry, ours.repair, ours.max_attempts, ours.timeout_s) == (
            theirs.retry, theirs.repair, theirs.max_attempts, theirs.timeout_s,
        )  # fmt: skip
        assert not ours.retry or ours.reason == theirs.reason
        assert (ours.delay_s, tuple(ours.actions)) == (theirs.delay_s or 0.0, theirs.actions)


def test_a_cause_decides_where_the_exception_says_nothing() -> None:
    """As a domain's own error around one of a library."""
    error = RuntimeError("no invoice")
    error.__cause__ = ConnectionRefusedError("refused")
    assert kind_of(error).category == "network"
    assert kind_of(RuntimeError("no invoice")).category == "unknown"


def test_the_copy_outlives_the_service(tmp_path: Path) -> None:
    """What was refreshed last is on disk; a damaged file is as none."""
    wanted = Settings(api="http://127.0.0.1:1", spool=str(tmp_path))
    policies = Policies(wanted)
    assert policies.rules.digest == built_in().digest
    file = policies._file
    assert file is not None
    file.write_text(json.dumps({"digest": "d", "items": []}))
    assert Policies(wanted).rules.digest == "d"
    file.write_text("{")
    assert Policies(wanted).rules.digest == built_in().digest
