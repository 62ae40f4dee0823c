"""Networks only, tensors in and tensors out, and the files that hold their weights; this room knows no task and no training."""
