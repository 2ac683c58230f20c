"""Attempts, one row each."""
