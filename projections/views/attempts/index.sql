-- A list with no filter merges the lists of all statuses: one index less on every write.
CREATE INDEX attempt_status ON attempt (tenant_no, status, started_ns);
-- By task all but number 1 of the first run, which most tasks have alone: its key follows from
-- table task_key.
CREATE INDEX attempt_task ON attempt (task_no, started_ns) WHERE is_first = 0;
-- The history goes by starts, ends and times of queueing, each in order.
CREATE INDEX attempt_ended ON attempt (tenant_no, status, ended_ns);
CREATE INDEX attempt_task_ended ON attempt (task_no, ended_ns) WHERE is_first = 0;
CREATE INDEX attempt_queued ON attempt (tenant_no, queued_ns) WHERE queued_ns IS NOT NULL;
CREATE INDEX attempt_task_queued ON attempt (task_no, queued_ns) WHERE queued_ns IS NOT NULL;
CREATE INDEX attempt_executor ON attempt (executor_no, started_ns) WHERE executor_no IS NOT NULL;
-- The watcher asks for running attempts that were last heard before some position of the log.
CREATE INDEX attempt_heard ON attempt (heard) WHERE heard IS NOT NULL;
