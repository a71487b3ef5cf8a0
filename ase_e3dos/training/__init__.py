"""Training: data, losses, runs, evaluation, labels from any calculator."""
