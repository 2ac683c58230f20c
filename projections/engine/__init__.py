"""The projector: pages of the log in, rows and checkpoints out, and rebuilds beside."""
