"""Forwarding: what the log holds goes on to Jaeger, Tempo or any other OTLP receiver.

A target reads the log with a cursor of its own, at least once; it never looks at the views, so
no rebuild sends anything again. Only the forwarder writes `forward.db`.
"""
