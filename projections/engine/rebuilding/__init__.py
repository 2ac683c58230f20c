"""Filling views again from the log: what is to be done, doing it, and moving tables for it."""
