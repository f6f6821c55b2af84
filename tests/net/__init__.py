"""The fetchers, against real sockets and real files."""
