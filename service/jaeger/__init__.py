"""A stock Jaeger's remote storage, version 2, read from our log over gRPC."""
