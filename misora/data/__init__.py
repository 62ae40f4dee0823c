"""Clips with their captions and truth, in memory and on disk; this room knows nothing of where a clip came from."""
