"""The training loop: stages, checkpoints, evaluation, and the finished network."""
