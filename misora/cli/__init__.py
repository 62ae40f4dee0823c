"""The command line: one file for each verb; it knows nothing that a room does not do for it."""
