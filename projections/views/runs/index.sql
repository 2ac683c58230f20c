CREATE INDEX run_status ON run (tenant_no, status, last_started_ns);
CREATE INDEX run_task ON run (task_no, last_started_ns) WHERE is_first = 0;
CREATE INDEX run_queued ON run (task_no, queued_ns) WHERE attempts = 0;
