"""Numbers for texts, and the facts of every run: the shared stage of all projections."""
