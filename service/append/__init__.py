"""Appending events from anywhere but OTLP's ports: scrubbed, deduplicated, durable."""
