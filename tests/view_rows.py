"""What the views say, by texts instead of registry numbers: equal for every order of arrival."""

import sqlite3
from typing import Any

_ATTEMPT = """
SELECT tenant.name, task_id, run_id, attempt_key & 1048575, status_word.word, flags, started_ns,
    ended_ns, queued_ns, retry_of, max_attempts, executor.executor, queue, tool, model, planner,
    host, component, fingerprint, signature.content, text, heartbeat_ns, signs, progress, trace_id,
    span_id, extra
FROM attempt JOIN tenant USING (tenant_no) JOIN task_key USING (task_no)
JOIN run_key ON run_key.run_no = attempt_key >> 20
JOIN status_word ON status_word.status = attempt.status
JOIN source ON source.source_no = attempt.source_no
LEFT JOIN executor ON executor.executor_no = attempt.executor_no
LEFT JOIN fingerprint ON fingerprint.fingerprint_no = attempt.error_no >> 16
LEFT JOIN signature ON signature.error_no = attempt.error_no
LEFT JOIN message USING (message_no)
"""
_RUN = """
SELECT tenant.name, task_id, run_id, status, attempts, left_out, recovered, backfilled,
    run.last_started_ns,
    run.first_started_ns, last_ended_ns, queued_ns, total_execution_ns, wall_clock_ns, idle_ns,
    overlap_ns, progress, component, fingerprint, signature.content, text, group_id,
    (SELECT trace_ids FROM run_traces AS x WHERE x.run_no = run.run_no), parents, causes
FROM run_summary AS run JOIN run_key USING (run_no) JOIN task_key ON task_key.task_no = run.task_no
JOIN tenant ON tenant.tenant_no = run.tenant_no
LEFT JOIN source USING (source_no) LEFT JOIN fingerprint ON fingerprint_no = run.error_no >> 16
LEFT JOIN signature ON signature.error_no = run.error_no
LEFT JOIN message USING (message_no)
"""
_TASK = """
SELECT tenant.name, task_id, status, run_id, task.last_started_ns, task.lead_ns,
    updated_ns, runs, attempts, retries, recovered_runs, backfilled_runs, component, task.name
FROM task JOIN task_key USING (task_no) JOIN run_key USING (run_no)
JOIN tenant ON tenant.tenant_no = task.tenant_no LEFT JOIN source USING (source_no)
"""
_METRIC = """
SELECT tenant.name, task_id, scope, CASE WHEN scope = 1 THEN executor ELSE key END, executions,
    completed, failed, timed_out, abandoned, cancelled, skipped, retries, runs, completed_runs,
    failed_runs, recovered_runs, anomalies, wait_count, duration_count,
    wait_sum_ns, duration_sum_ns, waits, iif(duration_count = 1, NULL, buckets)
FROM task_metric JOIN task_key USING (task_no) JOIN tenant USING (tenant_no)
LEFT JOIN executor ON executor_no = key AND scope = 1
"""
_PATTERN = """
SELECT tenant.name, fingerprint, error_type, stack_hash, normal_message, sample_stack, occurrences,
    recovered, unrecovered, runs_lost, tasks, components, first_seen_ns, last_seen_ns
FROM error_pattern JOIN fingerprint USING (fingerprint_no)
JOIN tenant ON tenant.tenant_no = error_pattern.tenant_no
"""
_OCCURRENCE = """
SELECT tenant.name, fingerprint, seen_ns, task_id, run_id, attempt_key & 1048575, text
FROM error_occurrence JOIN fingerprint USING (fingerprint_no) JOIN tenant USING (tenant_no)
JOIN run_key ON run_no = attempt_key >> 20 JOIN task_key USING (task_no)
LEFT JOIN message USING (message_no)
"""
_TOUCHED_TASK = """
SELECT name, fingerprint, task_id, occurrences
FROM error_task JOIN fingerprint USING (fingerprint_no) JOIN tenant USING (tenant_no)
JOIN task_key USING (task_no)
"""
_TOUCHED_COMPONENT = """
SELECT name, fingerprint, component, occurrences
FROM error_component JOIN fingerprint USING (fingerprint_no) JOIN tenant USING (tenant_no)
"""
_HOURS = """
SELECT name, fingerprint, hour, occurrences
FROM error_hour JOIN fingerprint USING (fingerprint_no) JOIN tenant USING (tenant_no)
"""

SELECTS = {
    "attempts": (_ATTEMPT,),
    "runs": (_RUN,),
    "tasks": (_TASK,),
    "task_metrics": (_METRIC,),
    "error_patterns": (_PATTERN, _OCCURRENCE, _TOUCHED_TASK, _TOUCHED_COMPONENT, _HOURS),
}
SQL_VIEWS = ("task_executions", "task_metadata", "execution_history", "performance_metrics")


def rows_of(connection: sqlite3.Connection, *projections: str) -> dict[str, list[Any]]:
    """Every row of these projections (none: all), sorted; with the SQL views if all."""
    found = {}
    for name in projections or SELECTS:
        for ordinal, select in enumerate(SELECTS[name]):
            found[f"{name}.{ordinal}"] = sorted(map(repr, connection.execute(select)))
    if not projections:
        for view in SQL_VIEWS:
            found[view] = sorted(map(repr, connection.execute(f"SELECT * FROM {view}")))
    return found
