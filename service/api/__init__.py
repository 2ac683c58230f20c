"""The HTTP API: answers of `projections.query`, a live tail, health, metrics, documentation."""
