"""The whole way from a command line to a published tree, over real servers of generated worlds."""
