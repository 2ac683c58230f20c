"""What rules find in real views."""

from contextlib import closing
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from events import names
from events.log.reader import open_reader
from events.schema import Fact, Span
from events.times import rfc3339
from projections.errors.fingerprints.versions import CURRENT
from projections.errors.verdicts import Verdicts
from projections.query.reading import Views
from service.alerts import rule as rules
from service.alerts.evaluation import Evaluation
from service.alerts.findings import Finding, findings
from service.alerts.rule import span
from service.alerts.samples import ENDED, SEEN, SQL, Samples
from tests.alerting import NOW_NS, found, sampled, tried
from tests.events import BASE_NS, SECOND_NS, make_batch, make_context, make_fact
from tests.views import make_folder


def test_a_run_that_failed_for_good_isfindings(tmp_path: Path) -> None:
    """By its task, with what helps to find the cause; an error that was retried is none."""
    spans = [
        tried("charge", 60, run="r1"), tried("charge", 50, run="r1"),
        tried("retried", 60, run="r1"), tried("retried", 50, run="r1", ok=True),
        tried("again", 60, run="r1", attributes={names.TASK_WILL_RETRY: True}),
        tried("long ago", 7200),
    ]  # fmt: skip
    (finding,) = found(tmp_path, spans, rules.TerminalFailures(name="rule"))
    assert finding.labels == {"task": "charge"}
    assert finding.value == 1
    assert finding.summary.startswith("1 run failed for good of task charge: ValueError")
    assert finding.details["runs"] == [{"task_id": "charge", "run_id": "r1"}]
    assert len(finding.details["fingerprints"]) == 1
    assert (finding.details["type"], finding.details["category"]) == ("ValueError", "validation")


def test_a_failure_settles_unless_no_attempt_was_left(tmp_path: Path) -> None:
    """Where nobody says how many attempts there may be, a retry may still come."""
    spans = [
        tried("unknown", 5), tried("one left", 5, most=2),
        tried("none left", 5, most=1),
    ]  # fmt: skip
    rule = rules.TerminalFailures(name="rule")
    assert [one.labels["task"] for one in found(tmp_path, spans, rule)] == ["none left"]


def test_a_task_that_completed_since_is_well(tmp_path: Path) -> None:
    """Its latest run counts."""
    spans = [tried("a", 300), tried("a", 200, ok=True), tried("b", 200), tried("b", 100)]
    (finding,) = found(tmp_path, spans, rules.TerminalFailures(name="rule"))
    assert (finding.labels, finding.value) == ({"task": "b"}, 2)


def test_failures_are_grouped_as_the_rule_says(tmp_path: Path) -> None:
    """By component, executor or error pattern, or all together; filters choose among them."""
    spans = [tried("a.1", 60), tried("a.2", 60), tried("b.1", 60, error="KeyError")]
    context = make_context(service="shop")
    with sampled(tmp_path, spans, context=context) as samples:
        from_ = {"name": "rule", "settle": span(1)}
        groups = {
            by: rules.TerminalFailures(**from_, group_by=by)
            for by in ("all", "component", "executor", "error", "task")
        }
        values = {
            by: sorted(one.value for one in findings(rule, samples)) for by, rule in groups.items()
        }
        assert values == {
            "all": [3], "component": [3], "executor": [3], "error": [1, 2], "task": [1, 1, 1],
        }  # fmt: skip
        only = rules.TerminalFailures(**from_, group_by="all", task="a.*", component="shop")
        assert [one.value for one in findings(only, samples)] == [2]
        none = rules.TerminalFailures(**from_, group_by="all", component="cart")
        assert findings(none, samples) == []
        bracket = rules.TerminalFailures(**from_, group_by="all", task="[ab].1")
        assert findings(bracket, samples) == []


def test_a_new_error_and_one_that_is_back_arefindings(tmp_path: Path) -> None:
    """Each once for its pattern; one that was retried with success is neither."""
    day = 86400
    spans = [
        tried("a", 10 * day, error="OldError"), tried("a", 60, error="OldError"),
        tried("b", 7200, error="UsualError"), tried("b", 60, error="UsualError"),
        tried("c", 60, error="NewError"),
        tried("d", 60, error="PassingError", run="r"), tried("d", 50, ok=True, run="r"),
    ]  # fmt: skip
    with sampled(tmp_path, spans) as samples:
        (new,) = findings(rules.NewError(name="rule"), samples)
        assert new.summary.startswith("NewError was never seen before, on c")
        (back,) = findings(rules.Regression(name="rule"), samples)
        assert back.summary.startswith("OldError is back after 9d 23h, on a")
        every = findings(rules.NewError(name="rule", only_terminal=False), samples)
        assert len(every) == 2
        assert set(new.labels) == {"fingerprint"}


def decided(found: list[Finding], action: str, at_ns: int, **more: Any) -> Fact:
    """A decision about the only pattern that was found."""
    (finding,) = found
    (run,) = finding.details["runs"]
    return make_fact(
        kind=names.FACT_TRIAGED, version=1, time_ns=at_ns, payload={"action": action, **more},
        subject={"fingerprint": finding.labels["fingerprint"], "fingerprint_version": CURRENT,
                 "attempt": 1, **run},
    )  # fmt: skip


def test_an_ignored_error_is_no_finding_until_its_time(tmp_path: Path) -> None:
    """Not as new, nor as a failure for good; afterwards, and once it is reopened, it is both."""
    minute = 60 * SECOND_NS
    data = make_folder(tmp_path / "data", [make_batch([tried("a", 60)])])
    new, failures = rules.NewError(name="new"), rules.TerminalFailures(name="failures")
    rate = rules.FailureRate(name="rate", above=0)
    found = all_found(data, new)
    fact = decided(found, "ignore", NOW_NS, until_ns=NOW_NS + 2 * minute)
    make_folder(data, [make_batch([fact])])
    for rule in (new, failures, rate):
        assert all_found(data, rule, NOW_NS + minute) == []
        assert len(all_found(data, rule, NOW_NS + 3 * minute)) == 1
    make_folder(data, [make_batch([decided(found, "reopen", NOW_NS + 1)])])
    assert len(all_found(data, new, NOW_NS + minute)) == 1


def test_an_error_that_was_resolved_and_occurs_again_is_back(tmp_path: Path) -> None:
    """However short it was quiet; what failed before it was resolved does not count."""
    data = make_folder(tmp_path / "data", [make_batch([tried("a", 600)])])
    new, back = rules.NewError(name="new"), rules.Regression(name="back")
    fact = decided(all_found(data, new), "resolve", NOW_NS - 300 * SECOND_NS)
    make_folder(data, [make_batch([fact])])
    assert all_found(data, back) == []
    make_folder(data, [make_batch([tried("a", 60)])])
    (finding,) = all_found(data, back)
    assert finding.summary.startswith("ValueError is back after it was resolved, on a")
    assert finding.value == 1


def often(task: str, error: str, days: dict[int, int]) -> list[Span]:
    """So many failures so many days ago; 0 is the last hour."""
    return [
        tried(task, day * 86400 + 60 + number, error=error)
        for day, count in days.items() for number in range(count)
    ]  # fmt: skip


def test_the_states_of_error_patterns_are_findings(tmp_path: Path) -> None:
    """Each kind finds the patterns in its state, as the pattern's page says it, and no others."""
    spans = [
        *often("a", "RisingError", {6: 1, 4: 1, 0: 9}), *often("c", "FirstError", {0: 9}),
        *often("b", "UsualError", {6: 5, 4: 5, 0: 1}), *often("d", "OldError", {20: 1, 0: 9}),
    ]  # fmt: skip
    with sampled(tmp_path, spans) as samples:
        (rising,) = findings(rules.Escalating(name="rule"), samples)
        (new,) = findings(rules.New(name="rule"), samples)
        (back,) = findings(rules.Regressed(name="rule"), samples)
    told = "RisingError is escalating: 9 in a day, usually 0.4, on a: RisingError"
    assert rising.summary.startswith(told)
    assert new.summary.startswith("FirstError is new: 9 in a day")
    assert back.summary.startswith("OldError is regressed: 9 in a day")
    assert (rising.value, rising.details["task_ids"]) == (9, ["a"])


def test_a_state_is_told_of_failures_for_good_and_of_chosen_tasks(tmp_path: Path) -> None:
    """Unless a rule wants every try; one whose runs recovered is silent."""
    recovered = [tried("a", 60 + n, error="RisingError", run=f"r{n}") for n in range(9)]
    recovered += [tried("a", 20, ok=True, run=f"r{n}") for n in range(9)]
    with sampled(tmp_path, [tried("a", 6 * 86400, error="RisingError"), *recovered]) as samples:
        assert findings(rules.Escalating(name="rule"), samples) == []
        every = rules.Escalating(name="rule", only_terminal=False)
        assert len(findings(every, samples)) == 1
        other = rules.Escalating(name="rule", only_terminal=False, task="b")
        assert findings(other, samples) == []


def test_an_ignored_pattern_is_silent_in_every_state(tmp_path: Path) -> None:
    """Until its time is over."""
    kinds = {
        rules.Escalating: {6: 1, 0: 9}, rules.New: {0: 9}, rules.Regressed: {20: 1, 0: 9},
    }  # fmt: skip
    for kind, days in kinds.items():
        batch = make_batch(often("a", "AnyError", days))
        data = make_folder(tmp_path / kind.__name__, [batch])
        rule = kind(name="rule")
        (finding,) = all_found(data, rule)
        first = [replace(finding, details=finding.details | {"runs": finding.details["runs"][:1]})]
        ignored = decided(first, "ignore", NOW_NS, until_ns=NOW_NS + 120 * SECOND_NS)
        make_folder(data, [make_batch([ignored])])
        assert all_found(data, rule, NOW_NS + 60 * SECOND_NS) == []
        assert len(all_found(data, rule, NOW_NS + 180 * SECOND_NS)) == 1


def all_found(data: Path, rule: rules.Rule, now_ns: int = NOW_NS) -> list[Finding]:
    """What a rule finds in a folder at a moment."""
    views = Views(data)
    with closing(views), closing(open_reader(data)) as log, views.read() as connection:
        return findings(rule, Samples(connection, log, Verdicts(), now_ns))


def test_a_rate_over_its_threshold_isfindings(tmp_path: Path) -> None:
    """Of runs that failed for good, or of attempts."""
    spans = [tried("a", 60 + n, run=f"r{n % 2}") for n in range(6)]
    with sampled(tmp_path, spans) as samples:
        assert findings(rules.FailureRate(name="rule", above=2), samples) == []
        (runs,) = findings(rules.FailureRate(name="rule", above=1), samples)
        assert runs.summary == "2 runs failed in 5m 00s, more than 1"
        (attempts,) = findings(rules.FailureRate(name="rule", above=5, of="attempts"), samples)
        assert attempts.value == 6


def test_a_success_rate_below_its_threshold_isfindings(tmp_path: Path) -> None:
    """With enough runs only; a retried run that completed counts as one success."""
    spans = [tried("a", 60 + n, ok=n > 1) for n in range(8)]
    spans += [tried("b", 60, run="r"), tried("b", 50, ok=True, run="r")]
    with sampled(tmp_path, spans) as samples:
        (low,) = findings(rules.SuccessRate(name="rule", below=0.8, at_least=9), samples)
        assert low.value == 7 / 9
        assert low.summary == "77.8% of 9 runs completed, below 0.8"
        assert findings(rules.SuccessRate(name="rule", below=0.7, at_least=9), samples) == []
        assert findings(rules.SuccessRate(name="rule", below=0.8, at_least=10), samples) == []
        tries = rules.SuccessRate(name="rule", below=0.75, at_least=9, of="attempts")
        assert findings(tries, samples)[0].value == 0.7


def test_slow_attempts_arefindings(tmp_path: Path) -> None:
    """By the quantile of those that completed."""
    spans = [tried("a", 60, lasting_s=n, ok=True, run=f"r{n}") for n in range(1, 21)]
    spans.append(tried("a", 60, lasting_s=900, run="failed"))
    with sampled(tmp_path, spans) as samples:
        (slow,) = findings(rules.Duration(name="rule", above=span(18)), samples)
        assert slow.value == 19 * SECOND_NS
        assert slow.summary == "p95 of 20 durations is 19.0 s, above 18.0 s"
        assert findings(rules.Duration(name="rule", above=span(19)), samples) == []


def test_a_long_wait_in_a_queue_isfindings(tmp_path: Path) -> None:
    """Of those that began."""
    queued = {names.TASK_QUEUED_AT: rfc3339(NOW_NS - 300 * SECOND_NS)}
    spans = [tried("a", 60, attributes=queued, ok=True)]
    with sampled(tmp_path, spans) as samples:
        (wait,) = findings(rules.QueueWait(name="rule", above=span(60), group_by="task"), samples)
        assert wait.value == 239 * SECOND_NS
        assert wait.labels == {"task": "a"}
        assert findings(rules.QueueWait(name="rule", above=span(240)), samples) == []


def test_silence_isfindings(tmp_path: Path) -> None:
    """Of one task, of some, or of all; of what was never heard nothing is said."""
    spans = [tried("nightly.a", 3000, ok=True), tried("nightly.b", 2000, ok=True), tried("c", 5)]
    with sampled(tmp_path, spans) as samples:
        (silent,) = findings(
            rules.Silence(name="rule", above=span(1800), task="nightly.*"), samples
        )
        assert silent.value == 2000 * SECOND_NS
        assert silent.labels == {"task": "nightly.*"}
        assert findings(rules.Silence(name="rule", above=span(1800)), samples) == []
        assert findings(rules.Silence(name="rule", above=span(1), task="never"), samples) == []
        other = rules.Silence(name="rule", above=span(1), tenant="nobody")
        assert findings(other, samples) == []


def test_a_projection_that_keeps_up_does_not_lag(tmp_path: Path) -> None:
    """All of the log is applied here."""
    assert found(tmp_path, [tried("a", 5)], rules.ProjectionLag(name="rule")) == []


def test_what_was_imported_raises_no_alert(tmp_path: Path) -> None:
    """Nor does what failed before the window."""
    spans = [
        tried("a", 60, attributes={names.TASK_BACKFILLED: True}),
        tried("b", 60, now_ns=BASE_NS),
    ]  # fmt: skip
    with sampled(tmp_path, spans) as samples:
        assert findings(rules.TerminalFailures(name="rule"), samples) == []
        assert findings(rules.FailureRate(name="rule", above=0), samples) == []
        assert findings(rules.NewError(name="rule"), samples) == []


def test_no_question_reads_a_whole_table(tmp_path: Path) -> None:
    """Each goes by an index, or its time would grow with the history."""
    statements = {name: sql for name, sql in SQL.items() if "{" not in sql} | {
        "ended": ENDED, "seen": SEEN,
    }  # fmt: skip
    values = dict.fromkeys(
        (
            "tenant",
            "status",
            "since",
            "now",
            "task",
            "component",
            "executor",
            "limit",
            "fingerprint",
        )
    )
    data = make_folder(tmp_path / "data", [make_batch([tried("a", 5)])])
    views = Views(data)
    with closing(views), views.read() as connection:
        for name, sql in statements.items():
            plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", values).fetchall()
            steps = [row[3] for row in plan]
            scans = [one for one in steps if one.startswith("SCAN") and "checkpoint" not in one]
            assert not scans, f"{name}: {steps}"
            assert not [one for one in steps if "TEMP B-TREE FOR ORDER BY" in one], f"{name}"


def test_an_evaluation_reads_what_was_decided_once(tmp_path: Path) -> None:
    """However many rules look at it; each evaluation reads it anew."""
    data = make_folder(tmp_path / "data", [make_batch([tried("a", 60), tried("b", 50)])])
    kinds = (rules.New, rules.Regressed, rules.Escalating, rules.NewError, rules.Regression)
    asked = [kind(name=f"{kind.__name__} {n}") for kind in kinds for n in range(4)]
    statements: list[str] = []
    with closing(Evaluation(data, lambda: NOW_NS)) as evaluation:
        with evaluation._views.read() as connection:
            connection.set_trace_callback(statements.append)
        for count in (1, 2):
            outcomes = evaluation.evaluate(asked)
            assert not [one.problem for one in outcomes if one.problem]
            assert any(one.found for one in outcomes)
            assert sum("FROM triage" in statement for statement in statements) == count
