"""Prefect 3 with its own spans, on the temporary server that it starts for itself."""

from pathlib import Path

import pytest

from tests.orchestrators.comparison import Known, compare, usual
from tests.orchestrators.play import PROGRAMS, Play
from tests.orchestrators.programs.truth import Try
from tests.serving import serving

pytestmark = pytest.mark.orchestrators


def test_attempts_are_split_from_the_one_span_of_a_task_run(tmp_path: Path) -> None:
    """All tries of a task run are in one span, and in the ledger single attempts. Of a synchronous
    task whose time is over Prefect never sends the span."""

    def tells(one: Try) -> Known | None:
        return None if one.task == "too_slow" else usual(one)

    settings = {
        "PREFECT_HOME": str(tmp_path / "home"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    }
    with serving(tmp_path) as service:
        play = Play("prefect", tmp_path / "play", service.http, settings)
        play.run(str(PROGRAMS / "prefect_shop.py"))
        assert len(play.truth) == 13
        attempts = compare(service, play.truth, tells)
    assert {attempt["system"] for attempt in attempts.values()} == {"prefect"}
