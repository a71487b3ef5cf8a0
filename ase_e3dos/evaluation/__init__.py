"""Evaluation: how good a model is, on labelled crystals."""
