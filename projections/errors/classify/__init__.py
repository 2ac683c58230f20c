"""What kind of error it is, by rules that are data."""
