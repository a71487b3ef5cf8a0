"""Analysis: what follows from a spectrum, and what it is compared with."""
