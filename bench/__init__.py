"""Benchmarks: one command a figure, always beside a peer in the same run."""
