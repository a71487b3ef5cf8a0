"""What reproduces the paper beside its models: figures, the control network, experiments."""
