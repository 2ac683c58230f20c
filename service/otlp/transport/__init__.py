"""OTLP over gRPC and HTTP: requests in, answers out."""
