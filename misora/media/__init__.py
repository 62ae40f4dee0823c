"""Read and write video and image files; it knows nothing of models, and every other room may be rebuilt without it noticing."""
