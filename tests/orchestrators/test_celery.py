"""Celery, unmodified, with the instrumentation's own defaults and without: real workers, retries,
time limits, a lost worker."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from tests.orchestrators.comparison import Key, Known, compare, usual
from tests.orchestrators.play import PROGRAMS, Play, settled
from tests.orchestrators.programs.truth import Try
from tests.orchestrators.redis import redis
from tests.otlp_messages import traces_of_json
from tests.peers import Jaeger
from tests.serving import serving, until

pytestmark = pytest.mark.orchestrators

Attempts = dict[Key, dict[str, Any]]

WORKER: Final = (
    "-m", "celery", "-A", "celery_shop", "worker", "-c", "4", "-l", "INFO",
    "--without-gossip", "--without-mingle",
)  # fmt: skip
TRIES: Final = 19
"""By workers; those in the producer itself come on top."""
EAGER: Final = 5
KILLED: Final = 2
"""Tries whose process is killed, of which nobody tells the end."""


def told(one: Try) -> Known | None:
    """A task that gives itself up is cancelled. Of one whose process is killed there is no trace;
    where Celery's hard time limit did it, its span may have been sent just before the end."""
    if one.task in {"shop.ignored", "shop.rejected"}:
        return Known("cancelled")
    if one.task == "shop.hard_limit":
        return Known("abandoned", at_all=False)
    return usual(one)


def play_shop(
    folder: Path,
    broker: str,
    tries: int,
    *options: str,
    then: Callable[[Attempts], None] = lambda attempts: None,
    **environment: str,
) -> tuple[list[Try], Attempts]:
    """The truth of one shop, and its attempts; `then` is called while the service still runs."""
    for name in ("queue", "control", "results"):
        (folder / name).mkdir(parents=True)
    backend = f"file://{folder}/results"
    with serving(folder, *options) as service:
        variables = {"BROKER": broker, "BACKEND": backend, **environment}
        play = Play("celery", folder, service.http, variables)
        with play.working(*WORKER, ready="ready."):
            play.run(str(PROGRAMS / "celery_shop.py"))
            tried = settled(play, tries, KILLED)
            attempts = compare(service, tried, told)
            then(attempts)
            return tried, attempts


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Try], Attempts]:
    """Producer and workers instrumented, no broker but the file system."""
    return play_shop(tmp_path_factory.mktemp("default"), "filesystem://", TRIES + EAGER)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """A Redis."""
    with redis(tmp_path / "redis") as url:
        yield url


def test_attempts_are_what_the_program_did(
    shop: tuple[list[Try], Attempts],
) -> None:
    """Each try of each task, numbered, with its outcome, its error and its time."""
    _, attempts = shop
    assert {attempt["system"] for attempt in attempts.values()} == {"celery"}
    queued = [a for (task, _, _), a in attempts.items() if task == "shop.soft_limit"]
    assert [attempt["queue"] for attempt in queued] == ["celery"]


def test_attempts_say_which_process_ran_them(
    shop: tuple[list[Try], Attempts],
) -> None:
    """Several worker processes, and the producer for the eager ones."""
    _, attempts = shop
    assert len({attempt["executor"] for attempt in attempts.values()} - {None}) > 2


@pytest.mark.peers
def test_span_links_give_the_same_attempts(tmp_path: Path, broker: str) -> None:
    """`use_span_links=True` makes a new trace for each try; over Redis. A stock Jaeger to which
    they are forwarded by run shows the three tries of a task in one waterfall."""

    def shows_one_waterfall(attempts: Attempts) -> None:
        tries = sorted(of_task(attempts, "shop.always_fails"), key=lambda one: one["attempt"])
        until(lambda: len(runs_shown(jaeger, tries[0]["trace_id"])) == 3, 60)
        shown = runs_shown(jaeger, tries[0]["trace_id"])
        assert shown == {tries[0]["span_id"]: ""} | {
            one["span_id"]: one["trace_id"] for one in tries[1:]
        }

    with Jaeger(tmp_path / "jaeger") as jaeger:
        target = f"otlp+grpc://{jaeger.grpc}?traces=by-run"
        _, attempts = play_shop(
            tmp_path / "play", broker, TRIES + EAGER, "--forward", target,
            then=shows_one_waterfall, LINKS="1",
        )  # fmt: skip
    tries = of_task(attempts, "shop.always_fails")
    assert len({one["run_id"] for one in tries}) == 1
    assert len({one["trace_id"] for one in tries}) == 3


def of_task(attempts: Attempts, task: str) -> list[dict[str, Any]]:
    """The attempts of a task."""
    return [attempt for (of, _, _), attempt in attempts.items() if of == task]


def runs_shown(jaeger: Jaeger, trace_id: str) -> dict[str, str]:
    """Span ids of the tries that Jaeger has in a trace, with the traces they came in."""
    document = jaeger.trace(bytes.fromhex(trace_id))
    spans = traces_of_json(document) if document else TracesData()
    return {
        span.span_id.hex(): original_of(span)
        for resource in spans.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
        if span.name == "run/shop.always_fails"
    }


def original_of(span: Any) -> str:
    """The trace that a span came in, if it was moved."""
    values = {one.key: one.value.string_value for one in span.attributes}
    return values.get("spanledger.original_trace_id", "")


def test_an_uninstrumented_producer_changes_nothing(tmp_path: Path, broker: str) -> None:
    """Runs are known by the id of their message."""
    play_shop(tmp_path / "play", broker, TRIES, PRODUCER="plain")
