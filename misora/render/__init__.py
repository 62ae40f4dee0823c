"""One request becomes one file; it knows nothing of who asks, the command line, Python or a server."""
