"""Data: labelled crystals, where they come from and how they are divided."""
