CREATE INDEX error_pattern_seen ON error_pattern (tenant_no, last_seen_ns);
