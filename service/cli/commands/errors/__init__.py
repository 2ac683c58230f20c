"""`spanledger errors …`, a file for each command."""
