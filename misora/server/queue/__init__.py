"""Jobs that are never lost and finished once: leases over a table; this room knows nothing of HTTP and nothing of video."""
