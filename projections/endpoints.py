"""Every question that can be asked: its path, parameters, answer and what it reads.

The HTTP API, its OpenAPI document and the CLI's local mode are all made from this table, so they
cannot differ.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from projections.query.parameters import (
    AttemptsQuestion,
    ErrorsQuestion,
    HistoryQuestion,
    MetricsQuestion,
    OccurrencesQuestion,
    Question,
    RunsQuestion,
    TaskRunsQuestion,
    TasksQuestion,
)
from projections.query.records import (
    Attempt,
    ErrorPattern,
    Occurrence,
    Page,
    ProjectionList,
    Run,
    Task,
    TaskMetric,
    Trace,
    Transition,
)
from projections.views.attempts import question as attempts
from projections.views.error_patterns import question as patterns
from projections.views.execution_history import question as history
from projections.views.runs import question as runs
from projections.views.task_metrics import question as metrics
from projections.views.traces.question import TraceQuestion


class Endpoint(NamedTuple):
    """One kind of question.

    `path` is below /api/v1; `{…}` parts are arguments. `reads` names the projections whose
    positions count. `answer(asked, question, *arguments)` gives an `answers`; None where the
    answer comes from the log too, and `Queries` gives it.
    """

    path: str
    summary: str
    asks: type[Question]
    answers: Any
    reads: tuple[str, ...]
    answer: Callable[..., msgspec.Struct] | None


_ATTEMPTS: Final = ("attempts", "runs", "tasks")
TRACE: Final = Endpoint(
    "traces/{trace_id}",
    "One trace: its attempts in order, retries, final status, spans and log records.",
    TraceQuestion, Trace, ("traces", *_ATTEMPTS), None,
)  # fmt: skip
PROJECTIONS: Final = Endpoint(
    "projections",
    "Every projection, how far it has followed the log, and its dead letters.",
    Question, ProjectionList, (), None,
)  # fmt: skip

ENDPOINTS: Final = (
    Endpoint(
        "tasks", "Tasks with the state of their latest run, newest start first.",
        TasksQuestion, Page[Task], _ATTEMPTS, runs.tasks,
    ),
    Endpoint("tasks/{task_id}", "One task.", Question, Task, _ATTEMPTS, runs.task),
    Endpoint(
        "tasks/{task_id}/runs", "The runs of one task, newest start first.",
        TaskRunsQuestion, Page[Run], _ATTEMPTS, runs.runs_of_task,
    ),
    Endpoint(
        "runs", "Runs: executions of tasks with all their retries, newest start first.",
        RunsQuestion, Page[Run], _ATTEMPTS, runs.runs,
    ),
    Endpoint(
        "attempts", "Attempts: every single try, newest start first.",
        AttemptsQuestion, Page[Attempt], _ATTEMPTS, attempts.attempts,
    ),
    TRACE,
    Endpoint(
        "errors", "Error patterns: failures that are the same error, last seen first.",
        ErrorsQuestion, Page[ErrorPattern], ("error_patterns",), patterns.errors,
    ),
    Endpoint(
        "errors/{fingerprint}", "One error pattern.",
        Question, ErrorPattern, ("error_patterns",), patterns.error,
    ),
    Endpoint(
        "errors/{fingerprint}/occurrences", "The failures of one error pattern, newest first.",
        OccurrencesQuestion, Page[Occurrence], ("error_patterns", *_ATTEMPTS),
        patterns.occurrences,
    ),
    Endpoint(
        "metrics/tasks", "Success rates, retries and durations per task, executor, hour or day.",
        MetricsQuestion, Page[TaskMetric], ("task_metrics", "tasks"), metrics.task_metrics,
    ),
    Endpoint(
        "history", "State transitions: what changed when, newest first.",
        HistoryQuestion, Page[Transition], ("execution_history", "attempts"), history.history,
    ),
    PROJECTIONS,
)  # fmt: skip


def route(resource: str) -> tuple[Endpoint, tuple[str, ...]] | None:
    """The endpoint of a path below /api/v1 and its arguments; a task id may hold slashes."""
    parts = resource.strip("/").split("/")
    for endpoint in sorted(ENDPOINTS, key=lambda e: e.path.count("/"), reverse=True):
        pattern = endpoint.path.split("/")
        tail = len(pattern) - 2
        if "{" not in endpoint.path:
            if parts == pattern:
                return endpoint, ()
        elif (
            parts[0] == pattern[0]
            and len(parts) >= len(pattern)
            and (parts[len(parts) - tail :] == pattern[2:])
        ):
            return endpoint, ("/".join(parts[1 : len(parts) - tail]),)
    return None
