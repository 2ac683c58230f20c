"""One attempt by its id; it has no tables of its own."""
