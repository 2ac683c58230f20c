-- The tasks of an executor: those of one executor only, and those of several.
CREATE INDEX metric_only_executor ON metric (only_executor_no, task_no)
WHERE only_executor_no IS NOT NULL;
CREATE INDEX metric_executor ON metric (key, task_no) WHERE scope = 1;
CREATE INDEX metric_one_executor ON metric_one (executor_no);
