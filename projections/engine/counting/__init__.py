"""What the projector counts for `/metrics`."""
