"""The testing kit for users: real failures of every category, streams of them, and a check of what
an instrumented component records."""
