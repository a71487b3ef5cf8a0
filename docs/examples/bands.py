"""A phonopy script for bands and thermal displacements, with force constants that are predicted."""

import warnings
from pathlib import Path

import numpy as np
from ase.io import read
from phonopy.phonon.band_structure import get_band_qpoints

from ase_e3dos import E3DOSPhonopy

warnings.simplefilter("ignore")
docs = Path(__file__).resolve().parents[1]

unitcell = read(docs / "crystals" / "GaN.cif")
phonon = E3DOSPhonopy(unitcell, model="force-constants")  # was: Phonopy(unitcell, 4 * eye(3)), ...
# No displacements and no forces; from here on everything is phonopy's.

corners = [[0, 0, 0], [0.5, 0, 0], [1 / 3, 1 / 3, 0], [0, 0, 0], [0, 0, 0.5]]
labels = ["$\\Gamma$", "M", "K", "$\\Gamma$", "A"]
path = get_band_qpoints([corners], npoints=51)
phonon.run_band_structure(path, labels=labels, with_group_velocities=True)
phonon.run_mesh([20, 20, 12], with_eigenvectors=True, is_mesh_symmetry=False)
phonon.run_total_dos()
phonon.run_thermal_displacement_matrices(t_min=300, t_max=300, freq_min=0.05)

print("force constants", phonon.force_constants.shape, "eV/Å^2")
print("Born charge of Ga (e):", np.round(phonon.nac_params["born"][0].diagonal(), 2))
print("dielectric tensor:", np.round(phonon.nac_params["dielectric"].diagonal(), 2))
phonon.run_qpoints([[0, 0, 0]], nac_q_direction=[1, 0, 0])
print("zone centre, q along x (THz):", np.round(phonon.qpoints.frequencies[0], 2))
tensors = phonon.thermal_displacement_matrices.thermal_displacement_matrices[0]
for symbol, tensor in zip(phonon.primitive.symbols, tensors, strict=True):
    print(symbol, "displacements at 300 K (Å^2):", np.round(tensor.real.diagonal(), 5))

figure = phonon.plot_band_structure_and_dos().gcf()
figure.set_size_inches(7, 4)
figure.savefig(docs / "figures" / "bands.png", dpi=120)
