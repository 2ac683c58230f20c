"""`spanledger policies`: see, check, try, apply and replay policies."""
