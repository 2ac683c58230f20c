"""From rows of the log to facts, and from the facts of a run to the run and its attempts."""
