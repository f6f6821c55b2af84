"""The only file that knows everyone: a configuration becomes stacks of ports."""
