"""total_dos.dat of copper by finite displacements with ASE's EMT potential: python make.py."""

from pathlib import Path

from ase_e3dos import reference_spectrum

HERE = Path(__file__).resolve().parent
reference_spectrum(HERE.parents[2] / "crystals" / "Cu.vasp", "emt").write(HERE / "total_dos.dat")
