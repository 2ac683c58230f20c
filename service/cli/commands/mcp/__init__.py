"""`spanledger mcp` and its commands."""
