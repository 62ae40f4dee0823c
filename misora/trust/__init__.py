"""What may be made, and what says that we made it: policy, provenance, watermark; it knows nothing of networks, queues or keys."""
