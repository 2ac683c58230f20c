"""The event log: what is stored, how it is told apart, and where it lies.

Imports point down only: `events` imports neither `projections` nor `service`.
"""
