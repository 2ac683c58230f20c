"""What is installed here, and whether it can work."""
