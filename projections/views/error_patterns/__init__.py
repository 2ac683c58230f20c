"""Failures by fingerprint."""
