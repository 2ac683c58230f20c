"""Telling receivers: the shape that each kind takes, where a request may go, and delivery."""
