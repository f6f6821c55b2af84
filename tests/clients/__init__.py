"""Real clients of an index, run in clean surroundings."""
