"""Private data, found and replaced before anything is stored."""
