"""Each reason not to trust a prediction has a class of its own, and says what to do."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111

from ase_e3dos import E3DOSPredictor, PhononSpectrum, predict
from ase_e3dos.errors import (
    CrowdedAtomsWarning,
    E3DOSWarning,
    ImaginaryWeightWarning,
    IsotopeWarning,
    LowTemperatureWarning,
    MagnetismWarning,
    OutOfDistributionWarning,
    TruncatedWeightWarning,
    UnseenElementWarning,
)
from ase_e3dos.network.graph import build_graph
from ase_e3dos.network.weights import GridHeader, WeightsHeader
from ase_e3dos.prediction.trust import assess, assess_batch
from ase_e3dos.spectrum import FrequencyGrid, named_grid
from ase_e3dos.spectrum.thermal import lowest_temperature
from ase_e3dos.structures.crystal import Crystal

GRID = GridHeader(-395.0, 10.0, 480)


def bump(center: float, width: float = 40.0) -> np.ndarray:
    weights = np.exp(-(((GRID.wavenumbers - center) / width) ** 2))
    return (weights / weights.sum()).astype(np.float32)


def found(atoms: Atoms, weights: np.ndarray | None = None, members: Any = None) -> list[type]:
    header = WeightsHeader(
        network="site",
        settings={},
        members=1,
        grid=GRID,
        encoder="mass_one_hot",
        encoder_version=1,
        elements={str(z): 9 for z in range(1, 84) if z != 43},
        trust={"filling": [0.1, 2.0], "disagreement": [0.15]},
    )
    graph = build_graph(Crystal.from_any(atoms), 5.0)
    several = assess(graph, header, bump(200.0) if weights is None else weights, members)
    for warning in several:
        assert Crystal.from_any(atoms).name in str(warning)
        assert len(str(warning)) > 80  # what, why and how to mend it
    return [type(w) for w in several]


def salt(a: float = 5.64) -> Atoms:
    return bulk("NaCl", "rocksalt", a=a)


def heavy_salt() -> Atoms:
    atoms = salt()
    atoms.set_masses([46.0, 35.45])
    return atoms


def slab() -> Atoms:
    atoms = fcc111("Al", (1, 1, 5), vacuum=4.0)
    atoms.pbc = True
    return atoms


def shares(imaginary: float) -> np.ndarray:
    return (1 - imaginary) * bump(200.0) + imaginary * bump(-200.0)


def test_nothing_is_said_of_an_ordinary_crystal():
    assert found(salt(), members=np.array([bump(200.0), bump(203.0)])) == []


@pytest.mark.parametrize(
    ("atoms", "weights", "members", "expected"),
    [
        (bulk("Tc", "hcp", a=2.74, c=4.39), None, None, UnseenElementWarning),
        (salt(2.3), None, None, CrowdedAtomsWarning),
        (salt(9.9), None, None, OutOfDistributionWarning),
        (bulk("Ar", "sc", a=12.0), None, None, OutOfDistributionWarning),
        (salt(), None, np.array([bump(150.0), bump(250.0)]), OutOfDistributionWarning),
        (slab(), None, None, OutOfDistributionWarning),
        (salt(), shares(0.02), None, ImaginaryWeightWarning),
        (salt(), bump(4390.0), None, TruncatedWeightWarning),
        (bulk("Fe"), None, None, MagnetismWarning),
        (bulk("CoAl", "cesiumchloride", a=2.86), None, None, MagnetismWarning),
        (heavy_salt(), None, None, IsotopeWarning),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_each_reason_has_its_class(atoms, weights, members, expected):
    assert expected in found(atoms, weights, members)


def test_the_limits_are_where_they_are_said_to_be():
    assert found(salt(), shares(0.009)) == []
    assert MagnetismWarning not in found(bulk("NiO", "rocksalt", a=4.18))  # an insulator
    assert MagnetismWarning not in found(bulk("Cu"))
    assert found(bulk("C", "diamond", a=3.57)) == []
    layers = [[0, 0, 0.25], [1 / 3, 2 / 3, 0.25], [0, 0, 0.75], [2 / 3, 1 / 3, 0.75]]
    cell = [2.46, 2.46, 6.7, 90, 90, 120]
    graphite = Atoms("C4", scaled_positions=layers, cell=cell, pbc=True)
    assert found(graphite) == []


def test_moments_on_atoms_do_not_vanish_in_silence(default_model: str):
    atoms = bulk("NiO", "rocksalt", a=4.18)
    atoms.set_initial_magnetic_moments([2.0, 0.0])
    atoms.calc = E3DOSPredictor(model=default_model)
    with pytest.warns(MagnetismWarning, match="do not enter"):
        atoms.calc.get_phonon_dos()
    atoms.set_initial_magnetic_moments([0.0, 0.0])
    atoms.calc = E3DOSPredictor(model=default_model)
    with warnings.catch_warnings():
        warnings.simplefilter("error", MagnetismWarning)
        atoms.calc.get_phonon_dos()


def test_low_temperatures():
    """Below two thirds of a bin, whoever asks; not at zero, and not in phonopy's usual table."""
    grid = named_grid("default")
    assert lowest_temperature(grid) == pytest.approx(9.59, abs=0.01)
    assert lowest_temperature(FrequencyGrid.of(np.arange(0.0, 1001.0, 20.0))) < 20
    x = grid.wavenumbers
    spectrum = PhononSpectrum(x, (x > 0) & (x < 300), crystal=Crystal.from_any(salt()))
    for ask in (
        lambda: spectrum.heat_capacity(5.0),
        lambda: spectrum.entropy([0.0, 5.0, 300.0]),
        lambda: spectrum.thermal_properties(temperatures=[5.0, 300.0]),
    ):
        with pytest.warns(LowTemperatureWarning, match="NaCl.* below 9.59 K") as caught:
            ask()
        assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error", E3DOSWarning)
        spectrum.heat_capacity([0.0, 10.0])
        spectrum.free_energy(2.0)  # nearly all of it is the zero-point energy
        spectrum.thermal_properties()
        spectrum.per_atom().thermal_properties(t_max=20)


def test_a_warning_can_be_made_an_error(default_model: str):
    with warnings.catch_warnings():
        warnings.simplefilter("error", CrowdedAtomsWarning)
        with pytest.raises(CrowdedAtomsWarning):
            predict(salt(2.3), model=default_model)


def test_a_batch_finds_what_one_by_one_finds() -> None:
    """The fast look at a batch misses no warning, whatever the reason for it."""
    sheet = Atoms("C2", cell=[2.46, 2.46, 20.0, 90, 90, 120], pbc=True)
    sheet.set_scaled_positions([[0, 0, 0.5], [1 / 3, 2 / 3, 0.5]])
    heavy = salt()
    heavy.set_masses([22.99, 37.0])
    structures = [salt(), bulk("Fe"), sheet, heavy, salt(3.0), bulk("Po", "sc", a=3.4), salt(10.2)]
    structures += [salt(), salt(), salt(), Atoms("Ar", cell=[9] * 3, pbc=True)]
    crystals = [Crystal.from_any(a) for a in structures]
    weights = np.stack([bump(200.0)] * 7 + [bump(-50.0), bump(4390.0), bump(200.0), bump(200.0)])
    others = weights.copy()
    others[9] = bump(600.0)
    header = WeightsHeader(
        network="site",
        settings={},
        members=2,
        grid=GRID,
        encoder="mass_one_hot",
        encoder_version=1,
        elements={str(z): 9 for z in range(1, 84) if z != 43},
        trust={"filling": [0.1, 2.0], "disagreement": [0.15]},
    )
    members = np.stack([weights, others])
    for self_edges in (False, True):
        graphs = [build_graph(c, 5.0, self_edges=self_edges) for c in crystals]
        together = assess_batch(graphs, header, weights, members)
        alone = [assess(g, header, weights[k], members[:, k]) for k, g in enumerate(graphs)]
        texts = [[str(w) for w in several] for several in alone]
        assert [[str(w) for w in several] for several in together] == texts
        assert not texts[0]
        assert all(texts[1:])
