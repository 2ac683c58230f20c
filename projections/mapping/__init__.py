"""What orchestrators' own telemetry means: rules, observations by them, and how these are joined.

`rules` turns TOML into a frozen `RuleSet`; `observe` turns a row of the log into an `Observation`
of raw values; `join` places what stands on several spans and records into runs. Nothing here
touches a file but the rules' own, and nothing knows of SQLite: all of it is pure.
"""
