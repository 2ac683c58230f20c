CREATE INDEX task_status ON task (tenant_no, status, last_started_ns);
