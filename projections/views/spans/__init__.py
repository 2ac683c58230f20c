"""The search index of spans: which spans have which names, attributes, durations and times.

What it finds are candidates, a handful too many at the edges; who asks compares the spans in the
log (`search`). It reads the log by itself, shares nothing with other projections and may lag alone.
"""
