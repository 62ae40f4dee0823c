"""Where everything is remembered: tables, connections, migrations; this room knows nothing of HTTP and nothing of video."""
