"""How answers are written: tables, JSON, CSV, bars, exit codes."""
