"""Addresses, ports, TLS, and the servers of HTTP."""
