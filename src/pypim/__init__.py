"""pypim, the PyPI Intelligent Mirror: one store that mirrors, proxies and hosts Python projects."""

__version__ = "0.1.0"
