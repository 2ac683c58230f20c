"""The service: receivers, API, command line, forwarding, and the supervisor that runs them."""
