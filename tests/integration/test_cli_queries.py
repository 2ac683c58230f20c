"""The questions of the command line on a real folder: tables, JSON, CSV, filters, exit codes."""

import csv
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from service.cli.main import app
from tests.events import SECOND_NS, make_batch, make_exception, make_span, trace_id
from tests.views import make_folder

NOW_NS = time.time_ns()
HOUR_NS = 3600 * SECOND_NS


def make_world() -> list[Any]:
    """Task `nightly` fails and recovers an hour ago; `import` failed yesterday; `quick` is new."""
    start_ns = NOW_NS - HOUR_NS
    failed = make_span(
        task="nightly", run="r1", attempt=1, trace_id=trace_id(7), start_ns=start_ns,
        end_ns=start_ns + 2 * SECOND_NS, status_code=2, name="nightly report",
        events=[make_exception("TimeoutError", "no answer from \x1b[31m10 hosts")],
    )  # fmt: skip
    again = make_span(
        task="nightly", run="r1", attempt=2, trace_id=trace_id(7),
        start_ns=start_ns + 3 * SECOND_NS, name="nightly report",
    )  # fmt: skip
    detail = make_span(
        task=None, trace_id=trace_id(7), parent_span_id=again.span_id, name="write file",
        start_ns=start_ns + 3 * SECOND_NS, end_ns=start_ns + 3 * SECOND_NS + 5_000_000,
    )  # fmt: skip
    old = make_span(
        task="import", run="r2", trace_id=trace_id(8), start_ns=NOW_NS - 26 * HOUR_NS,
        status_code=2, events=[make_exception("ValueError", "row 17")],
    )  # fmt: skip
    quick = make_span(task="quick", run="r3", trace_id=trace_id(9), start_ns=NOW_NS - SECOND_NS)
    return [failed, again, detail, old, quick]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folded world, and one task of another tenant."""
    batches = [
        make_batch(make_world()),
        make_batch([make_span(task="secret", run="r9")], tenant="acme"),
    ]
    return make_folder(tmp_path_factory.mktemp("world"), batches)


def run(data: Path, *words: str, **environment: str) -> Result:
    """`spanledger WORDS --data DIR`."""
    return CliRunner(env=environment).invoke(app, [*words, "--data", str(data)])


def items(data: Path, *words: str) -> list[dict[str, Any]]:
    """The items of a list asked with --json."""
    result = run(data, *words, "--json")
    assert result.exit_code == 0, result.output
    found: list[dict[str, Any]] = json.loads(result.stdout)["items"]
    return found


def test_tasks_are_listed_newest_first(data: Path) -> None:
    """Every task of the tenant with the state of its latest run."""
    listed = [(task["task_id"], task["status"]) for task in items(data, "tasks")]
    assert listed == [("quick", "completed"), ("nightly", "completed"), ("import", "failed")]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--status", "failed"], ["import"]),
        (["--since", "2h"], ["quick", "nightly"]),
        (["--until", "2h"], ["import"]),
        (["--q", "ni"], ["nightly"]),
        (["--task", "quick"], ["quick"]),
        (["--min-attempts", "2"], ["nightly"]),
        (["--sort", "started"], ["import", "nightly", "quick"]),
        (["--limit", "1"], ["quick"]),
        (["--tenant", "acme"], ["secret"]),
        (["--component", "shop", "--live"], ["quick", "nightly", "import"]),
        (["--backfilled"], []),
    ],
)
def test_filters_narrow_the_list(data: Path, words: list[str], expected: list[str]) -> None:
    """Each option means the filter of the API."""
    assert [task["task_id"] for task in items(data, "tasks", *words)] == expected


def test_an_empty_document_of_a_list_has_the_shape_of_the_api(data: Path) -> None:
    """`--json` writes items, next, position and complete."""
    document = json.loads(run(data, "tasks", "--q", "none", "--json").stdout)
    assert document == {"items": [], "next": None, "position": "6", "complete": True, "behind": []}


def test_cursors_go_on_where_the_answer_ended(data: Path) -> None:
    """`--cursor` takes the `next` of the answer before."""
    first = json.loads(run(data, "tasks", "--limit", "2", "--json").stdout)
    rest = items(data, "tasks", "--limit", "2", "--cursor", first["next"])
    assert [task["task_id"] for task in rest] == ["import"]


def test_runs_and_attempts_tell_of_retries(data: Path) -> None:
    """A recovered run has its retries, its attempts their numbers and errors."""
    (run_,) = items(data, "runs", "--task", "nightly")
    assert (run_["attempts"], run_["retries"], run_["recovered"]) == (2, 1, True)
    tries = items(data, "attempts", "--task", "nightly", "--run", "r1")
    assert [(a["attempt"], a["status"]) for a in tries] == [(2, "completed"), (1, "failed")]


def test_tables_are_plain_in_a_pipe(data: Path) -> None:
    """A piped table has a header, every column, no colours and nothing of a sender's escapes."""
    result = run(data, "attempts", "--task", "nightly")
    lines = result.stdout.splitlines()
    assert lines[0].split()[:4] == ["TASK", "RUN", "TRY", "STATUS"]
    assert "no answer from" in lines[2]
    assert f"{7:032x}" in lines[1]
    assert "\x1b" not in result.stdout


def test_csv_has_every_field(data: Path) -> None:
    """CSV rows carry nested fields under dotted names."""
    rows = list(csv.DictReader(io.StringIO(run(data, "attempts", "--csv").stdout)))
    assert len(rows) == 4
    assert {row["error.type"] for row in rows} == {"", "TimeoutError", "ValueError"}


def test_a_trace_is_a_tree_with_its_attempts(data: Path) -> None:
    """The attempts in order, then all spans with bars; JSON as in the API."""
    text = run(data, "trace", f"{7:032x}").stdout
    assert "2 attempts, 1 retry, 3 spans" in text
    assert "└─ write file" in text
    assert "█" in text
    document = json.loads(run(data, "trace", f"{7:032x}", "--json").stdout)
    assert (document["retry_count"], document["final_status"]) == (1, "completed")


def test_errors_are_grouped_and_shown(data: Path) -> None:
    """Patterns are listed; one of them shows its occurrences."""
    patterns = {pattern["type"]: pattern for pattern in items(data, "errors")}
    assert patterns["TimeoutError"]["recovered"] == 1
    fingerprint = patterns["ValueError"]["fingerprint"]
    assert "import" in run(data, "errors", fingerprint).stdout
    assert [o["task_id"] for o in items(data, "errors", fingerprint)] == ["import"]


def test_stats_and_history(data: Path) -> None:
    """Figures per task, in buckets too, and the transitions."""
    (figures,) = items(data, "stats", "nightly")
    assert (figures["executions"], figures["success_rate"]) == (2, 0.5)
    assert items(data, "stats", "nightly", "--bucket", "day")
    assert {change["task_id"] for change in items(data, "history", "--since", "2h")} == {
        "nightly", "quick"
    }  # fmt: skip
    assert "nightly" in run(data, "stats").stdout
    assert "nightly" in run(data, "history").stdout


def test_a_position_that_was_read_is_waited_for(data: Path) -> None:
    """`--min-position` at the head answers; beyond it is a usage error."""
    assert run(data, "tasks", "--min-position", "6").exit_code == 0
    assert run(data, "tasks", "--min-position", "99").exit_code == 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["trace", "xyz"], 2),
        (["trace", "f" * 32], 3),
        (["errors", "0" * 16], 3),
        (["tasks", "--status", "odd"], 2),
        (["tasks", "--since", "soon"], 2),
        (["tasks", "--cursor", "nonsense"], 2),
        (["tasks", "--view", "nowhere"], 3),
        (["tasks", "--json", "--csv"], 2),
        (["stats", "--bucket", "year"], 2),
    ],
)
def test_what_cannot_be_answered_says_so(data: Path, words: list[str], code: int) -> None:
    """Wrong usage ends in 2, what is not there in 3, each with a message and no answer."""
    result = run(data, *words)
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr


def test_an_empty_folder_is_unavailable(tmp_path: Path) -> None:
    """Without a log there is nothing to ask: exit code 4, and no file is made."""
    assert run(tmp_path, "tasks").exit_code == 4
    assert list(tmp_path.iterdir()) == []


def test_status_tells_what_runs_and_how_far_it_is(data: Path) -> None:
    """Without a service: not serving, no roles, the head and every projection's lag."""
    document = json.loads(run(data, "status", "--json").stdout)
    assert (document["serving"], document["roles"], document["endpoints"]) == (False, [], None)
    assert document["head"]["position"] == "6"
    assert {item["lag_events"] for item in document["projections"]} == {0}
    assert document["problems"] == []
    assert "task_metrics" in run(data, "status").stdout


def spanledger(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The whole command as a process of its own."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "service.cli.main", *words],
        capture_output=True, text=True, timeout=60, check=False, env=os.environ | environment,
    )  # fmt: skip


def test_the_command_ends_with_the_exit_codes(data: Path, tmp_path: Path) -> None:
    """The process itself exits as documented, messages on standard error only."""
    assert spanledger("tasks", "--data", str(data)).returncode == 0
    for words, code in (
        (["tasks", "--data", str(tmp_path)], 4),
        (["tasks", "--data", str(data), "--status", "odd"], 2),
        (["trace", "f" * 32, "--data", str(data)], 3),
    ):
        ended = spanledger(*words)
        assert (ended.returncode, ended.stdout) == (code, "")
        assert ended.stderr.startswith("spanledger: ")


def test_an_ascii_locale_gets_ascii(data: Path) -> None:
    """Where the terminal knows no UTF-8 the table is written all the same."""
    ended = spanledger(
        "attempts", "--data", str(data), LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0",
        PYTHONIOENCODING="ascii",
    )  # fmt: skip
    assert ended.returncode == 0
    assert ended.stdout.isascii()


def test_tab_completes_a_status() -> None:
    """The shell is offered the statuses that begin so."""
    ended = spanledger(
        COMP_WORDS="spanledger attempts --status f", COMP_CWORD="3",
        _SPANLEDGER_COMPLETE="complete_bash",
    )  # fmt: skip
    assert ended.stdout.split() == ["failed"]
