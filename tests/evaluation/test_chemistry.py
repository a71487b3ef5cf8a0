"""Errors by class of anion and by element."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.spacegroup import crystal

from ase_e3dos.data.labelled_set import read_labelled
from ase_e3dos.evaluation.chemistry import chemistry_sections
from ase_e3dos.evaluation.predictions import predictions
from ase_e3dos.evaluation.reference import reference_spectra
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures.chemistry import anion_class
from ase_e3dos.structures.crystal import Crystal


def calcite() -> Atoms:
    return crystal(
        ["Ca", "C", "O"],
        [(0, 0, 0), (0, 0, 0.25), (0.257, 0, 0.25)],
        spacegroup=167,
        cellpar=[4.99, 4.99, 17.06, 90, 90, 120],
    )


def ice_like() -> Atoms:
    atoms = molecule("H2O")
    atoms.set_cell([4.0, 4.0, 4.0])
    atoms.pbc = True
    return atoms


@pytest.mark.parametrize(
    ("atoms", "name"),
    [
        (bulk("Si", "diamond", a=5.43), "element"),
        (bulk("NaCl", "rocksalt", a=5.64), "chloride"),
        (bulk("MgO", "rocksalt", a=4.21), "oxide"),
        (calcite(), "oxyanion"),
        # silicon twelve ångström from oxygen makes no silicate
        (Atoms("SiO", [[0, 0, 0], [0, 0, 12]], cell=[8, 8, 24], pbc=True), "oxide"),
        (ice_like(), "hydrogen"),
        (bulk("CuZn", "cesiumchloride", a=2.95), "intermetallic"),
        (bulk("GaAs", "zincblende", a=5.65), "arsenide"),
        # BaClF: two halogens, neither of which is the anion alone
        (
            Atoms("BaClF", [[0, 0, 0], [2, 2, 2], [0, 2, 2]], cell=[4, 4, 4], pbc=True),
            "mixed anions",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else value.get_chemical_formula(),
)
def test_class_of_known_crystals(atoms, name):
    assert anion_class(Crystal.from_any(atoms)) == name


def test_sections_count_and_measure_as_by_hand(real_data):
    data = read_labelled(real_data / "dft_phonondb.parquet").split("valid")
    stable = np.flatnonzero(data.reference["imaginary_fraction"] < 1e-3)[:24]
    found = predictions(Predictor("default", "cpu"), data.subset(stable))
    sections = chemistry_sections(found, "element", fewest=3)
    oxygen = [k for k, c in enumerate(found.labelled.crystals) if 8 in c.numbers]
    assert sections["O"]["n"] == len(oxygen)
    assert list(sections) == sorted(sections, key=lambda name: -sections[name]["n"])
    references = reference_spectra(found.labelled)
    capacity = [
        abs(
            found.spectra[k].per_atom().heat_capacity(300.0)
            - references[k].per_atom().heat_capacity(300.0)
        )
        for k in oxygen
    ]
    assert sections["O"]["Cv_atom"] == pytest.approx(np.mean(capacity), rel=1e-6)
    inside = [
        low <= references[k].heat_capacity(300.0) <= high
        for k in oxygen
        for low, high in [found.spectra[k].interval("heat_capacity", temperature=300.0, level=0.9)]
    ]
    assert sections["O"]["cover90_Cv"] == pytest.approx(np.mean(inside))
