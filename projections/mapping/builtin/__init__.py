"""The rules that come with the package: one TOML file an orchestrator, read by `rules.files`."""
