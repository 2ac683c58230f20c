"""Where answers come from: a folder, a service, a role."""
