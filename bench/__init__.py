"""Measurements: one command a figure, on generated upstreams, always beside a peer in the same run."""
