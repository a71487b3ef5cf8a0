"""matcalc's PhononCalc with a potential beside our adapter, of the same relaxed crystals.

    pip install "matcalc==0.7.0" "chgnet==0.4.2"
    python docs/reference/matcalc_adapter.py

The weights of CHGNet are within its package. The two columns are of different methods: keys, cells
and units have to agree, and values as far as potential and network do.
"""

from __future__ import annotations

import warnings
from importlib.metadata import version

import matcalc
from ase.build import bulk
from chgnet.model.dynamics import CHGNetCalculator

from ase_e3dos.interfaces.matcalc import E3DOSPhononCalc

OPTIONS = {"relax_structure": True, "fmax": 1e-2, "write_phonon": False}
#: Place of 300 K in the lists of both.
ROOM = 30
CRYSTALS = {
    "NaCl": bulk("NaCl", "rocksalt", a=5.64),
    "MgO": bulk("MgO", "rocksalt", a=4.21),
    "Si": bulk("Si", a=5.43),
    "Cu, conventional cell": bulk("Cu", a=3.61, cubic=True),
}

warnings.simplefilter("ignore")
potential = CHGNetCalculator(use_device="cpu")
print(f"matcalc {version('matcalc')}, chgnet {version('chgnet')}; per atom at 300 K, J/(K mol)")
print("| crystal | atoms of the cells | C_V: PhononCalc, ours | S: PhononCalc, ours |")
print("| --- | ---: | ---: | ---: |")
for name, atoms in CRYSTALS.items():
    theirs = matcalc.PhononCalc(potential, min_length=9.0, **OPTIONS).calc(atoms)
    ours = E3DOSPhononCalc(potential, **OPTIONS).calc(atoms)
    assert set(ours) == {*theirs, "spectrum"}
    cells, heat, entropy = [], [], []
    for result in (theirs, ours):
        thermal, n = result["thermal_properties"], len(atoms)
        cells.append(str(len(result["phonon"].primitive)))
        heat.append(f"{thermal['heat_capacity'][ROOM] / n:.2f}")
        entropy.append(f"{thermal['entropy'][ROOM] / n:.2f}")
    print(f"| {name} | {', '.join(cells)} | {', '.join(heat)} | {', '.join(entropy)} |")
