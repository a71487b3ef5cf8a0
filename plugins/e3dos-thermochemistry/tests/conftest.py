"""Spectra whose properties are known, and a few predicted ones."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from ase_e3dos import Crystal, PhononSpectrum, predict


@pytest.fixture(scope="session")
def rocksalt():
    """Measured structures by formula."""

    def make(a, metal, anion):
        return Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(a), [metal, anion], [[0, 0, 0], [0.5, 0.5, 0.5]]
        ).get_primitive_structure()

    magnesite = Structure.from_spacegroup(
        "R-3c",
        Lattice.hexagonal(4.633, 15.013),
        ["Mg", "C", "O"],
        [[0, 0, 0], [0, 0, 0.25], [0.2778, 0, 0.25]],
    ).get_primitive_structure()
    return {
        "MgO": make(4.212, "Mg", "O"),
        "CaO": make(4.811, "Ca", "O"),
        "MgCO3": magnesite,
    }


@pytest.fixture(scope="session")
def predicted(rocksalt):
    """Predictions of them, with calibrated intervals."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(zip(rocksalt, predict(list(rocksalt.values())), strict=True))


@pytest.fixture(scope="session")
def debye():
    """Spectrum of Debye's with a cut-off in cm^-1, of any structure."""

    def make(structure, cutoff):
        wavenumbers = np.arange(0.0, 1500.0, 1.0)
        density = np.where(wavenumbers <= cutoff, wavenumbers**2, 0.0)
        return PhononSpectrum(wavenumbers, density, crystal=Crystal.from_any(structure))

    return make
