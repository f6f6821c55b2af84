"""The rules of packaging and of choosing: values in, values out; no I/O, clock, environment or randomness."""
