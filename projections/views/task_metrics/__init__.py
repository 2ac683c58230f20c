"""Counters and duration buckets by task, executor, hour and day."""
