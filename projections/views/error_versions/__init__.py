"""What another version of fingerprints would change among the error patterns that there are."""
