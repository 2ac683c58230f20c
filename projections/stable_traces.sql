-- What decides under which trace id a trace is sent on.

-- name: attempts_in_trace
-- The attempts of one run that lie in one trace.
SELECT attempt_key >> 20 AS run_no, span_id FROM attempt
WHERE attempt_key BETWEEN :run << 20 AND (:run << 20) + 1048575 AND trace_id = :trace
    AND +tenant_no = :tenant;  -- +: by the key, not by an index of the tenant

-- name: traces_of_run
-- The traces of a run, 16 bytes each, in order of the first attempt in it.
SELECT trace_ids FROM run_traces WHERE run_no = :run;
