"""Stack traces of nine languages as frames and causes; `reading` finds out the language."""
