"""Consumers of the log that act on what they see; never part of a rebuild."""
