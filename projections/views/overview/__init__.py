"""What a tenant does now and lately, in figures; it has no tables of its own."""
