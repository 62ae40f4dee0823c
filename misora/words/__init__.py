"""The vocabulary and phrasing of both languages; this room knows no pixels, no physics and no tensors."""
