"""Runs, one row each."""
