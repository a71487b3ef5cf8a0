"""Relax, then predict: by ASE's own minimiser, and through every front door."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.filters import FrechetCellFilter
from ase.optimize import FIRE

from ase_e3dos import Crystal, E3DOSPredictor, PhononSpectrum, predict, predict_iter
from ase_e3dos.errors import PotentialError, UnlikelyVolumeWarning

pytestmark = pytest.mark.usefixtures("default_model")


def by_ase(atoms):
    atoms = atoms.copy()
    atoms.calc = EMT()
    FIRE(FrechetCellFilter(atoms), logfile=None).run(fmax=1e-4)
    return atoms


def test_the_spectrum_is_that_of_the_relaxed_crystal() -> None:
    """As if the crystal had been relaxed by hand; names, order and the atoms given stay."""
    stretched = bulk("Cu", "fcc", a=3.75)
    with pytest.warns(UnlikelyVolumeWarning, match=r"1[34]\.\d% larger"):
        spectra = predict([stretched, bulk("Ag", "fcc", a=4.07)], relax=EMT(), fmax=1e-4)
    known = by_ase(stretched)
    assert spectra[0].crystal.volume == pytest.approx(known.get_volume(), rel=1e-4)
    assert spectra[0].entropy(300.0) == pytest.approx(predict(known)[0].entropy(300.0), rel=1e-3)
    assert stretched.get_volume() == pytest.approx(3.75**3 / 4)
    assert [s.crystal.formula for s in spectra] == ["Cu", "Ag"]
    change = spectra[0].origin["relaxation"]["volume_change"]
    assert change == pytest.approx(known.get_volume() / stretched.get_volume() - 1, abs=1e-4)
    assert spectra[0].provenance.endswith("relaxed with ase.calculators.emt:EMT")


def test_what_cannot_be_relaxed_is_our_error_in_its_place() -> None:
    mixed = Crystal(np.eye(3) * 2.6, [[0, 0, 0]], [0, 0], [29, 79], [0.5, 0.5])
    given = [bulk("Cu"), bulk("Si"), mixed, bulk("Au")]
    found = list(predict_iter(given, relax="emt", errors="yield"))
    kinds = [type(f).__name__ for f in found]
    assert kinds == ["PhononSpectrum", "PotentialError", "DisorderError", "PhononSpectrum"]
    assert "Si" in str(found[1])
    with pytest.raises(PotentialError, match="calculator 'emd'"):
        predict(bulk("Cu"), relax="emd")


def test_a_calculator_refuses_at_once_what_cannot_relax() -> None:
    """Not at the first prediction, which may be hours away; nor does `set` take it."""
    calculator = E3DOSPredictor(relax="emt")
    for wrong in ({"relax": "emmt"}, {"relax": 3}, {"relax": "emt", "fmax": -1.0}):
        with pytest.raises(PotentialError):
            E3DOSPredictor(**wrong)
        with pytest.raises(PotentialError):
            calculator.set(**wrong)
    assert calculator.parameters["relax"] == "emt"
    assert calculator.parameters["fmax"] == 0.01


def test_the_calculator_relaxes_a_copy() -> None:
    atoms = bulk("Cu", "fcc", a=3.65)
    place = atoms.cell.array.copy()
    atoms.calc = E3DOSPredictor(relax="emt")
    spectrum = atoms.calc.get_phonon_dos()
    np.testing.assert_array_equal(atoms.cell.array, place)
    relaxed = atoms.calc.get_relaxed_atoms()
    assert relaxed.get_volume() == pytest.approx(by_ase(atoms).get_volume(), rel=2e-3)
    atoms.calc.store()
    np.testing.assert_allclose(atoms.info["e3dos_relaxed_cell"], relaxed.cell.array)
    assert json.loads(json.dumps(atoms.calc.todict()))["relax"] == "emt"
    atoms.calc.set(relax=None)
    assert atoms.calc.get_phonon_dos().entropy(300.0) > spectrum.entropy(300.0)


def test_command(run_cli, tmp_path) -> None:
    """Table and JSON say what was done; the relaxed structure lies beside its spectrum."""
    bulk("Cu", "fcc", a=3.7).write(tmp_path / "Cu.vasp")
    _, text, _ = run_cli("predict", str(tmp_path / "Cu.vasp"), "--relax", "emt", "-o",
                   str(tmp_path / "out"))  # fmt: skip
    assert "relaxed with emt" in text
    spectrum = PhononSpectrum.read(tmp_path / "out" / "Cu" / "spectrum.json")
    assert spectrum.origin["relaxation"]["calculator"] == "emt"
    relaxed = Crystal.from_any(tmp_path / "out" / "Cu" / "relaxed.vasp")
    assert relaxed.volume == pytest.approx(spectrum.crystal.volume, rel=1e-6)
