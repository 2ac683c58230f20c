"""The commands of the testing kit."""
