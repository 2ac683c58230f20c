"""From observations to facts placed in runs, in any order of arrival. `joiner` is the way in."""
