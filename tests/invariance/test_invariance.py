"""Spectra do not depend on how a crystal is described.

The distance of two spectra is the share of the modes that lie in different bins. Networks run in
float32, whose rounding is all that remains: `TOLERANCE`. The largest distances seen are printed at
the end of the run (`pytest tests/invariance -p no:xdist`).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from random_crystals import (
    Sites,
    crystals,
    noted,
    rotations,
    spectrum_distance,
    supercells,
    unimodular,
)

from ase_e3dos.prediction.pipeline import Predictor

TOLERANCE = 2e-5


def check(predictor: Predictor, what: str, one: Sites, other: Sites, order=None) -> None:
    """Totals per atom agree, and so do the sites where they are known."""
    a, b = predictor.spectra([one.crystal()])[0], predictor.spectra([other.crystal()])[0]
    found = spectrum_distance(a.density, b.density)
    assert noted(predictor, what, found) < TOLERANCE
    assert b.n_modes / a.n_modes == pytest.approx(len(other.scaled) / len(one.scaled))
    if a.site_density is not None:
        copies = len(other.scaled) // len(one.scaled)
        expected = np.tile(a.site_density, (copies, 1)) if order is None else a.site_density[order]
        for p, q in zip(expected, b.site_density, strict=True):
            assert noted(predictor, f"{what} (sites)", spectrum_distance(p, q)) < 5 * TOLERANCE


@given(sites=crystals(), rotation=rotations())
def test_rotation(predictor, sites, rotation):
    check(predictor, "rotation", sites, sites.rotated(rotation))


@given(sites=crystals(), rotation=rotations())
def test_inversion_and_improper_rotations(predictor, sites, rotation):
    check(predictor, "inversion", sites, sites.rotated(-rotation))


@given(sites=crystals(), shift=st.tuples(*[st.floats(-3, 3)] * 3))
def test_translation(predictor, sites, shift):
    check(predictor, "translation", sites, sites.shifted(shift))


@given(sites=crystals(), data=st.data())
def test_permutation(predictor, sites, data):
    order = data.draw(st.permutations(range(len(sites.scaled))))
    check(predictor, "permutation", sites, sites.permuted(list(order)), list(order))


@given(sites=crystals(), matrix=unimodular())
def test_choice_of_cell(predictor, sites, matrix):
    check(predictor, "cell", sites, sites.in_cell(matrix))


@given(sites=crystals(), matrix=supercells())
def test_supercell(predictor, sites, matrix):
    check(predictor, "supercell", sites, sites.in_cell(matrix))


CUT_OFF = 5.0  # Å, of both networks


@pytest.mark.parametrize(
    ("name", "a", "contents"),
    [
        ("sc", CUT_OFF / 1, [(0, 0, 0)]),
        ("sc, second shell", CUT_OFF / 2**0.5, [(0, 0, 0)]),
        ("bcc", CUT_OFF * 2 / 3**0.5, [(0, 0, 0), (0.5, 0.5, 0.5)]),
        ("NaCl", CUT_OFF, [(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0), (0.5, 0, 0),
                           (0, 0.5, 0), (0, 0, 0.5), (0.5, 0.5, 0.5)]),
        ("CsCl", CUT_OFF / 2**0.5, [(0, 0, 0), (0.5, 0.5, 0.5)]),
    ],
)  # fmt: skip
def test_a_shell_on_the_cut_off(predictor, name, a, contents):
    """Rounding puts some of the neighbours inside and some outside: they must weigh nothing."""
    elements = [{55 if i < len(contents) / 2 else 17: 1.0} for i in range(len(contents))]
    sites = Sites(a * np.eye(3), np.array(contents, dtype=float), elements)
    rng = np.random.default_rng(3)
    for _ in range(5):
        q = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        moved = sites.rotated(q).shifted(rng.uniform(size=3))
        check(predictor, "shell on the cut-off", sites, moved)
    for strain in (-1e-9, 1e-9):
        strained = dataclasses.replace(sites, cell=sites.cell * (1 + strain))
        check(predictor, "shell on the cut-off", sites, strained)
    check(predictor, "shell on the cut-off", sites, sites.in_cell(np.diag([2, 1, 1])))


@given(several=st.lists(crystals(), min_size=2, max_size=6))
def test_batch_is_its_members(predictor, several):
    together = predictor.spectra([s.crystal() for s in several])
    for sites, spectrum in zip(several, together, strict=True):
        alone = predictor.spectra([sites.crystal()])[0]
        found = spectrum_distance(alone.density, spectrum.density)
        assert noted(predictor, "batch", found) < TOLERANCE


@given(sites=crystals())
def test_repeated_prediction_is_identical(predictor, sites):
    a, b = (predictor.spectra([sites.crystal()])[0].density for _ in range(2))
    np.testing.assert_array_equal(a, b)


@pytest.fixture
def double(predictor, monkeypatch):
    """The same predictor in float64, put back afterwards."""
    fresh = Predictor(predictor.name, device="cpu")
    for network in fresh.model.members:
        network.double()
    plain = fresh._maker.collated

    def collated(graphs):
        return in_double(plain(graphs))

    monkeypatch.setattr(fresh._maker, "collated", collated)
    return fresh


def in_double(value):
    """Every float tensor of a (nested) batch as float64."""
    if isinstance(value, torch.Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        return type(value)(in_double(v) for v in value)
    if dataclasses.is_dataclass(value):
        changed = {
            f.name: in_double(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init
        }
        return dataclasses.replace(value, **changed)
    return value


def test_single_precision_is_enough(predictor, double):
    @given(sites=crystals())
    def compare(sites):
        a, b = (p.spectra([sites.crystal()])[0] for p in (predictor, double))
        assert noted(predictor, "float64", spectrum_distance(a.density, b.density)) < TOLERANCE

    compare()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_device(predictor):
    on_gpu = Predictor(predictor.name, device="cuda")

    @given(sites=crystals())
    def compare(sites):
        a, b = (p.spectra([sites.crystal()])[0] for p in (predictor, on_gpu))
        assert noted(predictor, "device", spectrum_distance(a.density, b.density)) < 5 * TOLERANCE

    compare()
