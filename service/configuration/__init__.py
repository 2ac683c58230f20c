"""The settings: what there is, and where each comes from."""
