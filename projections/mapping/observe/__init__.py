"""From rows of the log to observations: raw values, no interpretation. `observer` is the way in."""
