"""The tools: each a record of its arguments and a function that asks a `Source`."""
