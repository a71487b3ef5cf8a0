"""Commands of `e3dos` that this package adds."""
