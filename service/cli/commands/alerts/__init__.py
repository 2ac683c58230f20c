"""`spanledger alerts`: what fires, what fired, and whether rules and receivers are right."""
