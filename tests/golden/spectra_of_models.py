"""Spectra of ten crystals by every shipped model, as they are kept beside this file.

`python tests/golden/spectra_of_models.py` writes them anew, for weights that are meant to differ.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.build import bulk

from ase_e3dos import PhononSpectrum, predict
from ase_e3dos.plugins import get_registry
from ase_e3dos.structures.crystal import Crystal

FILE = Path(__file__).with_suffix(".json")
#: What of a spectrum is kept beside its density, as a function of the spectrum.
NUMBERS = {
    "mean_wavenumber": lambda s: s.mean_wavenumber,
    "zero_point_energy": lambda s: s.zero_point_energy,
    "heat_capacity_20": lambda s: s.heat_capacity(20.0),
    "heat_capacity_300": lambda s: s.heat_capacity(300.0),
    "entropy_300": lambda s: s.entropy(300.0),
    "free_energy_1000": lambda s: s.free_energy(1000.0),
}


def crystals() -> dict[str, Crystal]:
    """Metals, salts, semiconductors, a hydride, layers, a skew cell, and a mixed site."""
    rng = np.random.default_rng(7)
    skew = np.array([[4.9, 0.3, -0.2], [1.4, 5.3, 0.4], [-0.9, 1.1, 5.8]])
    places = np.indices((2, 2, 2)).reshape(3, -1).T[:7] / 2 + rng.uniform(-0.06, 0.06, (7, 3))
    mixed = bulk("NaCl", "rocksalt", a=5.8)
    mixed.info["occupancy"] = {"0": {"Na": 0.5, "K": 0.5}, "1": {"Cl": 1.0}}
    mixed.set_array("spacegroup_kinds", np.arange(2))
    perovskite = [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]
    cells = {
        "Cu": bulk("Cu", a=3.61),
        "W": bulk("W", a=3.17),
        "Si": bulk("Si", a=5.43),
        "NaCl": bulk("NaCl", "rocksalt", a=5.64),
        "GaN": bulk("GaN", "wurtzite", a=3.19, c=5.19),
        "LiH": bulk("LiH", "rocksalt", a=4.08),
        "CsCl cubic": bulk("CsCl", "cesiumchloride", a=4.12, cubic=True),
        "SrTiO3": Atoms("SrTiO3", cell=[3.905] * 3, scaled_positions=perovskite, pbc=True),
        "skew": Atoms("SrTiO3SO", cell=skew, scaled_positions=places, pbc=True),
        "Na0.5K0.5Cl": mixed,
    }
    return {name: Crystal.from_any(atoms, name) for name, atoms in cells.items()}


def shape(spectrum: PhononSpectrum) -> np.ndarray:
    """Density by its maximum, shape (n,)."""
    return np.asarray(spectrum.density / spectrum.density.max())


def spectra(model: str, names: Collection[str] | None = None) -> dict[str, PhononSpectrum]:
    """Predicted spectra by the names of the crystals; of all of them if none are given."""
    known = {k: c for k, c in crystals().items() if names is None or k in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(zip(known, predict(list(known.values()), model, device="cpu"), strict=True))


def shipped() -> list[str]:
    """Models that come with the package itself."""
    models = Path(__import__("ase_e3dos").__file__).parent / "models"
    specs = get_registry().models()
    return [n for n, s in specs.items() if Path(s.weights_path()).parent == models]


def kept(spectrum: PhononSpectrum) -> dict[str, Any]:
    """What the file holds of a spectrum."""
    numbers = {name: float(f"{value(spectrum):.7g}") for name, value in NUMBERS.items()}
    return {"density": np.rint(shape(spectrum) * 1e5).astype(int).tolist(), **numbers}


def main() -> None:
    """Write the file, a line for each spectrum."""
    lines = []
    for model in shipped():
        found = spectra(model)
        rows = [f"  {json.dumps(name)}: {json.dumps(kept(s))}" for name, s in found.items()]
        weights = next(iter(found.values())).weights
        head = f' {json.dumps(model)}: {{\n  "weights": "{weights}",\n'
        lines.append(head + ",\n".join(rows) + "\n }")
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
