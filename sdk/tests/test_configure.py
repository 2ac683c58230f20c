"""`configure()`: on a provider that is there, on none, switched off, and twice."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.serving import clean_environment

from .collector import Collector, collecting


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A receiver that takes everything."""
    with collecting() as found:
        yield found


def run(program: str, collector: Collector, **variables: str) -> str:
    """A process of its own, because OpenTelemetry's provider is set once; what it printed."""
    env = clean_environment(
        {"SPANLEDGER_SDK_ENDPOINT": collector.url, "SPANLEDGER_SDK_SPOOL": "off", **variables}
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=30,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_program_without_a_provider_gets_one(collector: Collector) -> None:
    """With the name of its service; what it did arrives though it ends at once."""
    said = run(
        """
from spanledger_sdk import attempt, configure
configure(service="billing")
with attempt("a", "1"):
    pass
""",
        collector,
    )
    assert said == ""
    (span,) = collector.spans
    assert span.name == "a"
    assert b"billing" in collector.requests[-1].body


def test_the_programs_own_provider_is_used(collector: Collector) -> None:
    """Its processors go on, and its other spans are sent, too."""
    said = run(
        """
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from spanledger_sdk import attempt, configure
own = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(own))
trace.set_tracer_provider(provider)
assert configure().provider is provider
with attempt("a", "1"), trace.get_tracer("x").start_as_current_span("inner"):
    pass
assert len(own.get_finished_spans()) == 2
""",
        collector,
    )
    assert said == ""
    assert {span.name for span in collector.spans} == {"a", "inner"}


def test_switched_off_it_does_nothing(collector: Collector) -> None:
    """No thread, no provider, no request; the program runs as without it."""
    said = run(
        """
import threading
from opentelemetry import trace
from spanledger_sdk import attempt, configure, enqueue, progress, task
telemetry = configure()
assert telemetry.provider is None
@task("a", max_attempts=2, delay_s=0)
def work(calls=[]):
    progress(0.5)
    calls.append(1)
    if len(calls) < 2:
        raise ValueError
    return len(calls)
assert work() == 2
enqueue("b")
assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)
assert threading.active_count() == 1
assert telemetry.flush()
""",
        collector,
        SPANLEDGER_SDK_DISABLED="true",
    )
    assert said == ""
    assert not collector.requests


def test_the_first_call_counts(collector: Collector) -> None:
    """A second one is said, and sends nothing twice."""
    said = run(
        """
from spanledger_sdk import attempt, configure
assert configure(tenant="one") is configure(tenant="two")
with attempt("a", "1"):
    pass
""",
        collector,
    )
    assert "first call counts" in said
    assert len(collector.spans) == 1
    assert collector.requests[-1].headers["x-scope-orgid"] == "one"


def test_without_a_provider_attempts_run_and_it_is_said(collector: Collector) -> None:
    """Once, with what to do about it."""
    said = run(
        """
from spanledger_sdk import attempt
for _ in range(3):
    with attempt("a") as made:
        pass
assert made.result == "completed"
""",
        collector,
    )
    assert said.count("call configure()") == 1


def test_bad_arguments_end_nothing(collector: Collector) -> None:
    """What cannot be set up is said, and the program runs."""
    said = run(
        """
from spanledger_sdk import attempt, configure
configure(changes={"no_such_setting": 1})
with attempt("a"):
    print("ran")
""",
        collector,
    )
    assert "ran" in said
    assert "configure() failed" in said


def test_an_exception_that_ends_the_program_is_sent(collector: Collector) -> None:
    """Of a script that dies in an attempt."""
    env = clean_environment(
        {"SPANLEDGER_SDK_ENDPOINT": collector.url, "SPANLEDGER_SDK_SPOOL": "off"}
    )
    program = """
from spanledger_sdk import configure, task
configure()
@task("a")
def work():
    raise SystemExit(3)
work()
"""
    done = subprocess.run([sys.executable, "-c", program], env=env, timeout=30, check=False)
    assert done.returncode == 3
    (span,) = collector.spans
    assert span.status.message == "SystemExit: 3"


def test_a_receiver_that_is_away_does_not_hold_up_the_end(collector: Collector) -> None:
    """Nothing listens, nothing is kept: the program ends at once, and says what was lost."""
    collector.url = "http://127.0.0.1:9"
    said = run(
        """
from spanledger_sdk import attempt, configure
configure()
with attempt("a"):
    pass
""",
        collector,
    )
    assert "dropped: the program ended" in said
