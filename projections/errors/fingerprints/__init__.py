"""Identities of errors, by version: a version never changes once it was released."""
