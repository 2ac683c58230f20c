"""Policies: whether a failed attempt is tried again, when, with which remedies, who hears of it.

Pure: files in, decisions out. `reading` makes a `PolicySet` of TOML, `resolving` the policy of a
case, `decision` what to do. Whoever knows the log hands in what came of earlier retries.
"""
