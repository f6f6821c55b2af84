"""TOML into a frozen configuration; the only reader of the environment."""
