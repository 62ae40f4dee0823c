"""Requests in, JSON out: the routes of the Videos API and their shapes; this room knows nothing of SQL and nothing of video."""
