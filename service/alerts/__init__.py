"""Alerts: rules over the views, what they found, and telling receivers of it.

The rules (`alerts.toml`) are evaluated on the views by bounded questions. What they find moves
alerts from pending to firing to resolved; each step is one transaction of `alerts.db` together
with the notices that follow from it. Notices are delivered at least once, to each receiver by a
task of its own. Every alert that fired or was resolved is also a fact in the log.
"""
