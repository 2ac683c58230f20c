"""What the forms of pages do: each a fact in the log, or something asked of a role."""
