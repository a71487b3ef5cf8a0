"""Interfaces: the package as other programs call it (ASE, phonopy, matcalc, jobflow)."""
