"""The append-only log: its port, the embedded store on SQLite, and one in memory."""
