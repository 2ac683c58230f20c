"""Spans of the log for readers that know traces and no tasks: Jaeger and Grafana's Tempo source."""
