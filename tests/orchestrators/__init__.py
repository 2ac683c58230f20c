"""Real orchestrators, unmodified, each in an environment of its own.

Their programs log what they really did (`programs/truth.py`), and send OTLP to a running service;
the tests compare its attempts with that. `python -m tests.orchestrators` makes the environments,
once a machine.
"""
