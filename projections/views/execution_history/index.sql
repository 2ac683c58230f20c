-- A list with no filter merges the lists of all statuses, as with attempts.
CREATE INDEX transition_status ON transition (tenant_no, status, at_ns);
