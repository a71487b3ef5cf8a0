"""A phonopy script with E3DOSPhonopy in the place of Phonopy."""

import os
import tempfile
from pathlib import Path

from phonopy.interface.vasp import read_vasp

from ase_e3dos import E3DOSPhonopy

docs = Path(__file__).resolve().parents[1]
os.chdir(tempfile.mkdtemp())

unitcell = read_vasp(str(docs / "crystals" / "GaAs.vasp"))
phonon = E3DOSPhonopy(unitcell, primitive_matrix="auto")  # was: Phonopy(unitcell, 2 * eye(3), ...)
# No displacements, forces or force constants.
phonon.run_mesh([20, 20, 20])
phonon.run_total_dos()
phonon.run_projected_dos()
phonon.run_thermal_properties(t_min=0, t_max=1000, t_step=100)

phonon.write_total_dos()
phonon.write_projected_dos()
phonon.write_yaml_thermal_properties()
print(sorted(path.name for path in Path.cwd().iterdir()))

dos = phonon.total_dos
print(f"{len(phonon.primitive)} atoms in the primitive cell, {len(dos.dos)} frequency points")
thermal = phonon.get_thermal_properties_dict()
print("   T (K)   F (kJ/mol)   S (J/K/mol)  C_V (J/K/mol)")
for row in zip(*thermal.values(), strict=True):
    print("{:8.1f} {:12.4f} {:12.4f} {:12.4f}".format(*row))

figure = phonon.plot_total_dos().gcf()
figure.savefig(docs / "figures" / "phonopy_workflow.png", dpi=120)
