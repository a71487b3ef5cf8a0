"""CIF files: the text, the symmetry and the sites of a block, and the crystal they describe."""

from ase_e3dos.structures.cif.reader import cif_sites

__all__ = ["cif_sites"]
