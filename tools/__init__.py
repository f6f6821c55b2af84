"""What developers run besides the tests; nothing of it is installed."""
