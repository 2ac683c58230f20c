"""State transitions."""
