CREATE INDEX task_status ON task (tenant_no, status, last_started_ns);
CREATE INDEX task_executor ON task (executor_no, last_started_ns) WHERE executor_no IS NOT NULL;
