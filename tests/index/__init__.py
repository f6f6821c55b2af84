"""The indexes, against a real server and the store's verified twins."""
