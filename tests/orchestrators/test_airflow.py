"""Airflow 3.3 with its own spans: scheduler, API server and task processes.

No task defers itself: on a slow machine Airflow takes one that is resumed before the scheduler has
heard that it was deferred for failed, and nothing is told of it.
"""

from pathlib import Path
from typing import Final

import pytest

from tests.orchestrators.airflow import STANDALONE, Airflow
from tests.orchestrators.comparison import Known, compare, usual
from tests.orchestrators.play import Play, settled
from tests.orchestrators.programs.truth import Try
from tests.ports import free_port
from tests.serving import serving, until

pytestmark = [pytest.mark.orchestrators, pytest.mark.timeout(1200)]

START_S: Final = 300.0
RUN_S: Final = 300.0
TRIES: Final = 13
DETAILED: Final = {"airflow/task_span_detail_level": 2}
"""What a DAG run has to be given for the errors of its tasks to be told."""


def told(one: Try) -> Known:
    """A try begins when it is queued, which may be long before it runs. The error of a killed
    process is nobody's to tell, and that of a time limit no `Exception`, which the SDK keeps."""
    if one.task == "shop.skipped":
        return Known("skipped", when=False)
    known = usual(one)
    if known is None or one.task == "shop.too_slow":
        return Known("failed", when=False)
    return Known(known.status, known.error_type, known.error, when=False)


def test_airflow(tmp_path: Path) -> None:
    """Retries, a skipped, a rescheduled and a mapped task, a time limit and a killed
    process: the attempts are those that really were."""
    airflow = Airflow(tmp_path / "home", free_port())
    with serving(tmp_path) as service:
        play = Play("airflow", tmp_path / "play", service.http, airflow.variables())
        with play.running(*STANDALONE) as standalone:

            def alive() -> bool:
                assert standalone.poll() is None, play.said(STANDALONE)
                return True

            until(lambda: alive() and airflow.trigger("shop", "run1", DETAILED), START_S)
            until(lambda: alive() and len(play.truth) >= TRIES, RUN_S)
            attempts = compare(service, settled(play, TRIES, killed=1), told)
    assert len(attempts) == TRIES
    assert {attempt["system"] for attempt in attempts.values()} == {"airflow"}
