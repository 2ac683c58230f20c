"""Percepts: finished runs with how new they are. They have no tables of their own."""
