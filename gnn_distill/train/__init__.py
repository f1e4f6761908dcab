"""Training: losses and penalties, pruning, optimisers, checkpoints, processes that share a batch."""
