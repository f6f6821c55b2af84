"""The command line: options in, documents and exit statuses out."""
