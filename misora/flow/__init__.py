"""How noise becomes a video: path, solvers, guidance, one sampler; this room knows nothing of text, pixels or files."""
