"""The rule language: TOML to a frozen `RuleSet`. `ruleset` is the way in."""
