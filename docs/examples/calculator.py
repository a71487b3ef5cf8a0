"""ASE: relax with a potential, then spectra with E3DOSPredictor, kept in a file and a database."""

import tempfile
from pathlib import Path

from ase.build import bulk
from ase.calculators.emt import EMT
from ase.db import connect
from ase.filters import FrechetCellFilter
from ase.io import read, write
from ase.optimize import BFGS

from ase_e3dos import E3DOSPredictor

folder = Path(tempfile.mkdtemp())

# Energies and forces come from one calculator, spectra from another.
atoms = bulk("Cu", "fcc", a=3.7)
atoms.calc = EMT()
BFGS(FrechetCellFilter(atoms), logfile=None).run(fmax=0.001)
print(f"relaxed volume {atoms.get_volume():.3f} A^3")

atoms.calc = E3DOSPredictor(temperature=300.0)
spectrum = atoms.calc.get_phonon_dos()
print(f"C_V = {atoms.calc.get_property('heat_capacity', atoms):.2f} J/(K mol of cells)")
print(f"C_V = {spectrum.specific_heat(300.0):.0f} J/(K kg)")

# ASE's writers drop results that they do not know; store() puts them where they survive.
atoms.calc.store(atoms)
write(folder / "copper.extxyz", atoms)
again = read(folder / "copper.extxyz")
print("from the file:", f"{again.info['e3dos_heat_capacity']:.2f}", "J/(K mol of cells)")

with connect(folder / "results.db") as db:
    atoms.calc.store(atoms, db=db, project="metals")
row = connect(folder / "results.db").get("project=metals,e3dos_heat_capacity>10")
print("from the database:", row.formula, f"{row.e3dos_entropy:.2f}", "J/(K mol of cells)")
