"""What varies between occurrences of one error, taken out of messages, files and functions."""
