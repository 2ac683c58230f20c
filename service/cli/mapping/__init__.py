"""What `spanledger mappings` does without a log: rule files, and trying them on captures."""
