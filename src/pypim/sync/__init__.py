"""The flow that makes an index match its configuration."""
