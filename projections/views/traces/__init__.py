"""The `traces` projection: which positions of the log belong to a trace."""
