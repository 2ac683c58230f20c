"""Tasks, one row each."""
