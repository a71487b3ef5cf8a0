"""Each reason not to trust a prediction has a class of its own, and says what to do."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, make_supercell, molecule, nanotube
from ase.data import covalent_radii
from ase.spacegroup import crystal

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
from ase_e3dos.prediction.bonds import seen_bonds
from ase_e3dos.prediction.layers import periodic_directions
from ase_e3dos.prediction.trust import assess_batch
from ase_e3dos.spectrum import FrequencyGrid, named_grid
from ase_e3dos.spectrum.thermal import lowest_temperature
from ase_e3dos.structures.crystal import Crystal

GRID = GridHeader(-395.0, 10.0, 480)


def bump(center: float, width: float = 40.0) -> np.ndarray:
    weights = np.exp(-(((GRID.wavenumbers - center) / width) ** 2))
    return (weights / weights.sum()).astype(np.float32)


def assess(graph: Any, header: WeightsHeader, weights: Any, members: Any) -> Any:
    """Warnings about one crystal, as a batch of its own."""
    several = None if members is None else members[:, None]
    return assess_batch([graph], header, weights[None], several)[0]


def assessed(
    atoms: Atoms, weights: np.ndarray | None = None, members: Any = None, trust: Any = None
) -> tuple[E3DOSWarning, ...]:
    header = WeightsHeader(
        network="site",
        settings={},
        members=1,
        grid=GRID,
        encoder="mass_one_hot",
        encoder_version=1,
        elements={str(z): 9 for z in range(1, 84) if z != 43},
        trust={"filling": [0.1, 2.0], "disagreement": [0.15], **(trust or {})},
    )
    graph = build_graph(Crystal.from_any(atoms), 5.0)
    return assess(graph, header, bump(200.0) if weights is None else weights, members)


def found(atoms: Atoms, weights: np.ndarray | None = None, members: Any = None) -> list[type]:
    several = assessed(atoms, weights, members)
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
        (bulk("FeS", "zincblende", a=5.2), None, None, MagnetismWarning),
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


def test_bonds_that_training_never_saw_are_warned_of_in_every_cell():
    """Carbon beside beryllium, where training never had them next to each other."""
    known = {"bonds": seen_bonds([Crystal.from_any(salt())])}
    carbide = crystal(
        ["C", "Be"], [(0, 0, 0), (0.25, 0.25, 0.25)], spacegroup=225, cellpar=[4.34] * 3 + [90] * 3
    )
    for cell in (np.eye(3), [[1, 0, 0], [2, 1, 0], [0, 1, 1]], np.diag([1, 1, 2])):
        atoms = make_supercell(carbide, cell)
        assert found(atoms) == []
        (warning,) = assessed(atoms, trust=known)
        assert isinstance(warning, OutOfDistributionWarning)
        assert "Be-C" in str(warning)
    assert assessed(salt(), trust=known) == ()
    assert assessed(salt(5.9), trust=known) == ()  # what was seen, strained


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


HEADER = WeightsHeader(
    network="site",
    settings={},
    members=2,
    grid=GRID,
    encoder="mass_one_hot",
    encoder_version=1,
    elements={str(z): 9 for z in range(1, 84) if z != 43},
    trust={"filling": [0.1, 2.0], "disagreement": [0.15]},
)


def test_in_a_batch_each_crystal_gets_its_own_warnings() -> None:
    sheet = Atoms("C2", cell=[2.46, 2.46, 20.0, 90, 90, 120], pbc=True)
    sheet.set_scaled_positions([[0, 0, 0.5], [1 / 3, 2 / 3, 0.5]])
    structures = [salt(), bulk("Fe"), sheet, heavy_salt(), salt(3.0), bulk("Po", "sc", a=3.4)]
    structures += [salt(10.2), salt(), salt(), salt(), Atoms("Ar", cell=[9] * 3, pbc=True)]
    crystals = [Crystal.from_any(a) for a in structures]
    weights = np.stack([bump(200.0)] * 7 + [bump(-50.0), bump(4390.0), bump(200.0), bump(200.0)])
    others = weights.copy()
    others[9] = bump(600.0)
    members = np.stack([weights, others])
    for self_edges in (False, True):
        graphs = [build_graph(c, 5.0, self_edges=self_edges) for c in crystals]
        together = assess_batch(graphs, HEADER, weights, members)
        alone = [assess(g, HEADER, weights[k], members[:, k]) for k, g in enumerate(graphs)]
        texts = [[str(w) for w in several] for several in alone]
        assert [[str(w) for w in several] for several in together] == texts
        assert not texts[0]
        assert all(texts[1:])


# The cell that a crystal is written in --------------------------------------------------------


def skewed(atoms: Atoms, matrix: Any) -> Atoms:
    """The same crystal with other lattice vectors."""
    other = make_supercell(atoms, matrix)
    assert len(other) == round(abs(np.linalg.det(matrix))) * len(atoms)
    return other


def wide_slab() -> Atoms:
    """A slab of which no face of a reduced cell is the surface: its vectors are all of a length."""
    cell = [[20.0, 0, 0], [0, 20.0, 0], [10.0, 10.0, 8.0]]
    grid = [[(i + 0.5) / 6, (j + 0.5) / 6, 0.0] for i in range(6) for j in range(6)]
    return Atoms("Al36", cell=cell, positions=np.array(grid) * [20, 20, 1], pbc=True)


@pytest.mark.parametrize("atoms", [slab(), wide_slab()], ids=["slab", "wide"])
@pytest.mark.parametrize(
    "matrix",
    [
        np.eye(3),
        [[1, 0, 0], [0, 1, 0], [2, -1, 1]],  # the long vector leans over
        [[1, 0, 1], [0, 1, 0], [0, 0, 1]],  # no face of the cell is the surface
        [[2, 1, 1], [1, 1, 0], [3, 2, 2]],
        [[1, 1, 0], [-1, 1, 0], [5, 7, 2]],  # and a supercell
    ],
    ids=str,
)
def test_a_slab_is_one_in_every_cell(atoms: Atoms, matrix: Any) -> None:
    def text(structure: Atoms) -> str:
        graph = build_graph(Crystal.from_any(structure, "slab"), 5.0)
        (warning,) = assess(graph, HEADER, bump(200.0), None)
        assert isinstance(warning, OutOfDistributionWarning)
        return str(warning)

    assert "an empty layer of" in text(atoms)
    assert text(skewed(atoms, matrix)) == text(atoms)


@pytest.mark.parametrize(
    ("atoms", "directions", "said"),
    [(molecule("C6H6", vacuum=6), 0, "molecule"), (nanotube(4, 0, vacuum=8), 1, "chains"),
     (slab(), 2, "slab"), (salt(), 3, "")],
    ids=["benzene", "nanotube", "slab", "salt"],
)  # fmt: skip
def test_what_empty_layers_part(atoms: Atoms, directions: int, said: str) -> None:
    atoms.pbc = True
    for matrix in (np.eye(3, dtype=int), [[1, 0, 0], [1, 2, 0], [0, 1, 1]]):
        graph = build_graph(Crystal.from_any(skewed(atoms, matrix)), 5.0)
        assert periodic_directions(graph) == directions
        warned = [str(w) for w in assess(graph, HEADER, bump(200.0), None) if "layer" in str(w)]
        assert (said in warned[0]) if said else not warned


def test_a_small_cell_however_skew_has_no_layers() -> None:
    """Its reduced cell is shorter than the narrowest layer that counts."""
    assert found(skewed(salt(), [[1, 0, 0], [30, 1, 0], [0, 20, 1]])) == []


def test_limits_are_the_same_on_both_sides_of_rounding() -> None:
    """A gap, a bond and a filling exactly at their limits, in cells that round differently."""
    layers = Atoms("Al2", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[4, 4, 10], pbc=True)
    pair = sum(covalent_radii[[11, 17]])
    touching = bulk("NaCl", "rocksalt", a=pair)  # Na and Cl are half their radii's sum apart
    radius = covalent_radii[13]
    side = (4 / 3 * np.pi * radius**3 / 0.1) ** (1 / 3)
    thin = Atoms("Al", cell=[side] * 3, pbc=True)
    random = np.random.default_rng(1)
    for atoms, kind in ((layers, "empty"), (touching, "apart"), (thin, "fill")):
        for _ in range(12):
            turned = skewed(
                atoms, np.triu(random.integers(-2, 3, (3, 3)), 1) + np.eye(3, dtype=int)
            )
            turned.rotate(random.uniform(0, 180), random.normal(size=3), rotate_cell=True)
            turned.positions += random.normal(size=3)
            graph = build_graph(Crystal.from_any(turned), 5.0)
            assert not [w for w in assess(graph, HEADER, bump(200.0), None) if kind in str(w)]


@pytest.mark.parametrize("name", ["MgO", "Al", "Fe", "NaCl at 2.3 Å"])
def test_a_supercell_gets_the_warnings_of_its_primitive_cell(default_model: str, name: str) -> None:
    oxide = bulk("MgO", "rocksalt", a=4.21)
    cells = {"MgO": oxide, "Al": bulk("Al"), "Fe": bulk("Fe"), "NaCl at 2.3 Å": salt(2.3)}
    atoms = cells[name]
    large = atoms.repeat(4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small, other = predict(
            [Crystal.from_any(a, "it") for a in (atoms, large)], model=default_model
        )
    assert [str(w) for w in other.warnings] == [str(w) for w in small.warnings]
    assert bool(small.warnings) == (name != "MgO")


def test_a_probably_unstable_crystal_is_warned_of():
    """Also where the spectrum itself has nothing below zero."""
    graphs = [build_graph(Crystal.from_any(bulk("NaCl", "rocksalt", a=5.64)), 5.0)] * 2
    weights = np.stack([bump(200.0)] * 2).astype(np.float32)
    odds = np.array([0.3, 0.7], dtype=np.float32)
    calm, unstable = assess_batch(graphs, HEADER, weights, None, odds)
    assert not calm
    (warning,) = unstable
    assert isinstance(warning, ImaginaryWeightWarning)
    assert "70 %" in str(warning)


def test_an_element_that_was_never_alone_is_warned_of():
    header = replace(HEADER, trust={"alone": [14.0]})
    texts = {
        atoms.get_chemical_formula(): str(assess(graph, header, bump(900.0), None))
        for atoms in (bulk("Si"), bulk("C"), bulk("SiC", "zincblende", a=4.36))
        for graph in [build_graph(Crystal.from_any(atoms), 5.0)]
    }
    assert "no crystal of C alone" in texts["C2"]
    assert "alone" not in texts["Si2"] + texts["CSi"]


def test_a_volume_that_no_such_crystal_has(default_model) -> None:
    """Rock salt in another salt's cell and in its own; metals and networks are not judged."""
    from ase.build import bulk

    from ase_e3dos import predict_iter

    given = [bulk("NaCl", "rocksalt", a=a) for a in (5.64, 6.8, 4.8)] + [
        bulk("Cu", a=4.2),
        bulk("SiC", "zincblende", a=4.36),
        bulk("BN", "zincblende", a=3.615),
    ]
    found = [
        [str(w) for w in s.warnings if type(w).__name__ == "UnlikelyVolumeWarning"]
        for s in predict_iter(given, uncertainty=False)
    ]
    assert not found[0]
    assert "larger" in found[1][0]
    assert "smaller" in found[2][0]
    assert not any(found[3:])


def test_stability_is_not_stated_of_elements(default_model) -> None:
    """Copper is stable, and what the networks learned of stability were compounds."""
    copper, salt_ = predict([bulk("Cu"), salt()])
    assert copper.instability is None
    assert not [w for w in copper.warnings if isinstance(w, ImaginaryWeightWarning)]
    assert salt_.instability is not None
    assert salt_.instability < 0.1


@pytest.mark.parametrize(
    ("bond", "length", "warned"),
    [("O-H", 0.96, True), ("O-H", 1.29, True), ("O-H", 1.31, False),
     ("O-Si", 1.61, True), ("O-Ti", 1.61, False), ("O-Si", 1.67, False),
     ("B-N", 1.45, True), ("H-Pd", 1.7, True), ("H-Pd", 2.04, False), ("H-Ti", 1.93, True)],
)  # fmt: skip
def test_stretching_modes_beyond_a_short_grid_are_warned_of(
    bond: str, length: float, warned: bool
) -> None:
    atoms = Atoms(
        ["Mg", *bond.split("-")], [[0, 0, 0], [2.2, 0, 0], [2.2 + length, 0, 0]], cell=[6, 3, 3],
        pbc=True,
    )  # fmt: skip
    graph = build_graph(Crystal.from_any(atoms), 5.0)
    found = {}
    for top, grid in ((1000, GridHeader(0.0, 20.0, 51)), (4395, GRID)):
        header = WeightsHeader(network="site", settings={}, members=1, grid=grid,
                               encoder="mass_one_hot", encoder_version=1)  # fmt: skip
        shares = np.zeros(len(grid.wavenumbers), np.float32)
        shares[len(shares) // 2] = 1.0
        found[top] = [w for w in assess_batch([graph], header, shares[None], None)[0]
                      if isinstance(w, TruncatedWeightWarning)]  # fmt: skip
    assert bool(found[1000]) is warned
    assert not found[4395]
    if warned:
        assert {*bond.split("-")} <= {*re.split(r"\W+", str(found[1000][0]))}


def test_odds_of_stability_change_what_imaginary_modes_mean() -> None:
    header = WeightsHeader(network="site", settings={}, members=1, grid=GRID,
                           encoder="mass_one_hot", encoder_version=1)  # fmt: skip
    graph = build_graph(Crystal.from_any(bulk("MgO", "rocksalt", a=4.21)), 5.0)
    shares = (0.98 * bump(200.0) + 0.02 * bump(-60.0, 10.0)).astype(np.float32)
    for odds, text in ((2e-6, "may well be stable"), (0.9, "probably not stable")):
        (warnings_,) = assess_batch([graph], header, shares[None], None,
                                    np.array([odds], np.float32))  # fmt: skip
        (warning,) = (w for w in warnings_ if isinstance(w, ImaginaryWeightWarning))
        assert text in str(warning)
        assert ("probably not stable" in str(warning)) is (odds > 0.5)


@pytest.mark.filterwarnings("ignore::ase_e3dos.errors.E3DOSWarning")
def test_warnings_are_the_same_without_error_bars(default_model, crystals_folder) -> None:
    path = crystals_folder / "Si0.5Ge0.5.cif"
    (full,) = predict(path, model=default_model)
    (plain,) = predict(path, model=default_model, uncertainty=False)
    assert "disagree" in " ".join(map(str, full.warnings))
    assert [str(w) for w in plain.warnings] == [str(w) for w in full.warnings]
    assert plain.members is None
