"""What `spanledger mappings` does: rule files, and rules tried on captures and on the log."""
