"""Projections: pure folds of the event log into views that can be rebuilt from it."""
