"""`spanledger demo`: a small orchestrator with retries, instrumented as any user would do it."""
