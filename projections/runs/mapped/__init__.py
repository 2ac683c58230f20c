"""What mapping rules take of the log: kept while it waits for other pieces, placed in runs."""
