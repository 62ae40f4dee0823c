"""Who may do what and how much: accounts, keys, plans, quotas; this room knows nothing of HTTP and nothing of video."""
