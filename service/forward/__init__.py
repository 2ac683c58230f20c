"""Forwarding: what the log holds goes on to Jaeger, Tempo or any other OTLP receiver.

A target reads the log with a cursor of its own, at least once, and no rebuild sends anything
again: the views are only asked by a target that wants `traces=by-run`, which trace a span goes
to. Only the forwarder writes `forward.db`.
"""
