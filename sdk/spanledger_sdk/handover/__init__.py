"""From ended spans to a service: a queue in memory, requests, and a spool on disk."""
