"""OTLP in: decode, check, cut, scrub, build batches, answer."""
