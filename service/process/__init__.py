"""One command, several processes: supervised, locked, ended in order."""
