-- Views with the columns of the schema that Spanledger replaces, for SQL written against it.
-- They show the tenant `default` only.

CREATE VIEW task_executions AS
SELECT
    task_key.task_id AS task_id,
    status_word.word AS status,
    strftime('%Y-%m-%d %H:%M:%S.', coalesce(run.first_started_ns, run.queued_ns) / 1000000000, 'unixepoch')
        || printf('%06d', coalesce(run.first_started_ns, run.queued_ns) / 1000 % 1000000) AS started_at,
    CASE WHEN run.status IN (2, 3, 4, 5, 6, 7) THEN
        strftime('%Y-%m-%d %H:%M:%S.', run.last_ended_ns / 1000000000, 'unixepoch')
        || printf('%06d', run.last_ended_ns / 1000 % 1000000)
    END AS completed_at,
    CASE WHEN run.status IN (3, 4, 5, 7, 9) THEN message.text END AS error_message,
    max(run.attempts - 1, 0) AS retry_count,
    CASE WHEN run.status = 2 THEN 1.0 ELSE coalesce(run.progress, 0.0) END AS progress,
    run.total_execution_ns / 1e9 AS execution_time,
    json_object(
        'run_id', run_key.run_id, 'group_id', run.group_id, 'attempts', run.attempts,
        'recovered', json(iif(run.recovered, 'true', 'false')),
        'executor', executor.executor, 'tool', source.tool, 'model', source.model,
        'queue', source.queue, 'host', source.host, 'component', source.component,
        'system', source.system
    ) AS metadata,
    strftime('%Y-%m-%d %H:%M:%S.', (task.last_started_ns - task.lead_ns) / 1000000000, 'unixepoch')
        || printf('%06d', (task.last_started_ns - task.lead_ns) / 1000 % 1000000) AS created_at,
    strftime('%Y-%m-%d %H:%M:%S.', task.updated_ns / 1000000000, 'unixepoch')
        || printf('%06d', task.updated_ns / 1000 % 1000000) AS updated_at
FROM tenant
JOIN task ON task.tenant_no = tenant.tenant_no
JOIN task_key ON task_key.task_no = task.task_no
JOIN run_summary AS run ON run.run_no = task.run_no
JOIN run_key ON run_key.run_no = task.run_no
JOIN status_word ON status_word.status = run.status
LEFT JOIN source ON source.source_no = run.source_no
LEFT JOIN executor ON executor.executor_no = source.executor_no
LEFT JOIN message ON message.message_no = run.message_no
WHERE tenant.name = 'default';

CREATE VIEW task_metadata AS
SELECT
    task_key.task_id AS task_id,
    coalesce(task.name, task_key.task_id) AS title,
    '' AS priority,
    0 AS points,
    NULL AS description,
    NULL AS tech_footprint,
    run.parents AS dependencies,
    NULL AS score_total,
    0 AS human_required,
    NULL AS human_reason,
    strftime('%Y-%m-%d %H:%M:%S.', (task.last_started_ns - task.lead_ns) / 1000000000, 'unixepoch')
        || printf('%06d', (task.last_started_ns - task.lead_ns) / 1000 % 1000000) AS created_at,
    strftime('%Y-%m-%d %H:%M:%S.', task.updated_ns / 1000000000, 'unixepoch')
        || printf('%06d', task.updated_ns / 1000 % 1000000) AS updated_at
FROM tenant
JOIN task ON task.tenant_no = tenant.tenant_no
JOIN task_key ON task_key.task_no = task.task_no
LEFT JOIN run ON run.run_no = task.run_no
WHERE tenant.name = 'default';

-- When attempts were queued (step 0), began to run (1) and ended (2), and when runs were queued
-- that have no attempt. attempt_key = run_no * 1048576 + attempt number (0: the run).
CREATE VIEW transition AS
SELECT
    attempt_key, step, tenant_no, task_no,
    CASE step WHEN 0 THEN queued_ns WHEN 1 THEN started_ns ELSE ended_ns END AS at_ns,
    CASE step WHEN 0 THEN 8 WHEN 1 THEN 1 ELSE status END AS status,
    CASE step WHEN 2 THEN message_no END AS message_no
FROM attempt
CROSS JOIN (SELECT 0 AS step UNION ALL SELECT 1 UNION ALL SELECT 2)
WHERE CASE step WHEN 0 THEN queued_ns WHEN 1 THEN started_ns ELSE ended_ns END IS NOT NULL
UNION ALL
SELECT run_no << 20, 0, tenant_no, task_no, queued_ns, 8, NULL
FROM run WHERE attempts = 0 AND queued_ns IS NOT NULL;

-- id: the run's 63-bit digest XOR (attempt number, step) spread by an odd factor: a digest of the
-- row's key that needs no function SQLite lacks, the same after every rebuild.
CREATE VIEW execution_history AS
SELECT
    (run_key.hash | spread) - (run_key.hash & spread) AS id,
    task_id,
    status,
    timestamp,
    message,
    metadata
FROM (
    SELECT
        (((transition.attempt_key & 1048575) << 2) | transition.step) * 1099511628211 AS spread,
        transition.attempt_key >> 20 AS run_no,
        task_key.task_id AS task_id,
        status_word.word AS status,
        strftime('%Y-%m-%d %H:%M:%S.', transition.at_ns / 1000000000, 'unixepoch')
            || printf('%06d', transition.at_ns / 1000 % 1000000) AS timestamp,
        message.text AS message,
        json_object('attempt', transition.attempt_key & 1048575) AS metadata
    FROM transition
    JOIN tenant ON tenant.tenant_no = transition.tenant_no
    JOIN task_key ON task_key.task_no = transition.task_no
    JOIN status_word ON status_word.status = transition.status
    LEFT JOIN message ON message.message_no = transition.message_no
    WHERE tenant.name = 'default'
) AS step
JOIN run_key ON run_key.run_no = step.run_no;

CREATE VIEW performance_metrics AS
SELECT
    task_key.task_id AS task_id,
    metric.duration_sum_ns / 1e9 / nullif(metric.duration_count, 0) AS avg_execution_time,
    1.0 * metric.completed
        / nullif(metric.completed + metric.failed + metric.timed_out + metric.abandoned, 0)
        AS success_rate,
    metric.executions AS total_executions,
    metric.completed AS successful_executions,
    metric.failed + metric.timed_out + metric.abandoned AS failed_executions,
    strftime('%Y-%m-%d %H:%M:%S.', task.last_started_ns / 1000000000, 'unixepoch')
        || printf('%06d', task.last_started_ns / 1000 % 1000000) AS last_execution,
    strftime('%Y-%m-%d %H:%M:%S.', (task.last_started_ns - task.lead_ns) / 1000000000, 'unixepoch')
        || printf('%06d', (task.last_started_ns - task.lead_ns) / 1000 % 1000000) AS created_at,
    strftime('%Y-%m-%d %H:%M:%S.', task.updated_ns / 1000000000, 'unixepoch')
        || printf('%06d', task.updated_ns / 1000 % 1000000) AS updated_at
FROM tenant
JOIN task_key ON task_key.tenant_no = tenant.tenant_no
JOIN task_metric AS metric ON metric.task_no = task_key.task_no AND metric.scope = 0
LEFT JOIN task ON task.task_no = task_key.task_no
WHERE tenant.name = 'default';
