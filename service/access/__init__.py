"""Who may do what, for which tenant."""
