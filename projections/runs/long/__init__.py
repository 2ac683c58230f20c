"""Runs of many facts: one more attempt costs the same at any length."""
