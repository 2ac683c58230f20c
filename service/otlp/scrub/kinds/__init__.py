"""The kinds of private data, one file a family."""
