"""Symmetry: operations, space groups by their names, the images of positions."""
