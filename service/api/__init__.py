"""The HTTP API: answers of `service.query`, a live tail, health, metrics and the documentation."""
