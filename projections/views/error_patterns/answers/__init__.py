"""What answers about error patterns say that no table holds: state, decisions, one in full."""
