"""What people decided of errors: resolved, ignored, reopened, notes and owners."""
