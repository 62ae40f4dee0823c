"""The Videos API, served: routes, queue, keys and workers; the web process knows no torch, only the worker knows how to render."""
