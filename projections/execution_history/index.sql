CREATE INDEX transition_time ON transition (tenant_no, at_ns);
