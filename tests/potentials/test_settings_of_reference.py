"""Settings of finite displacements that mean nothing are refused; checks enlarge what they say."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from ase_e3dos import predict
from ase_e3dos.errors import PotentialError
from ase_e3dos.potentials.displacements import larger_supercell
from ase_e3dos.potentials.reference import ReferenceSettings, reference_spectrum
from ase_e3dos.screening.refinement import refine


@pytest.mark.parametrize(
    "matrix",
    [np.diag([2, 2, 3]), [[-2, 2, 2], [2, -2, 2], [2, 2, -2]], [[0, 2, 2], [2, 0, 2], [2, 2, 0]],
     [[1, 1, 0], [-1, 1, 0], [0, 0, 3]]],
)  # fmt: skip
def test_the_supercell_of_the_check_is_larger_along_every_direction(matrix: Any) -> None:
    small = np.array(matrix)
    large = larger_supercell(small)
    heights = [1 / np.linalg.norm(np.linalg.inv(m.astype(float)), axis=0) for m in (small, large)]
    assert (heights[1] > heights[0] + 0.1).all()


def test_the_check_of_the_supercell_sees_a_change() -> None:
    matrix = [[-2, 2, 2], [2, -2, 2], [2, 2, -2]]
    found = reference_spectrum(bulk("Cu"), EMT(), supercell=matrix, mesh=15.0, check=True)
    assert found.origin["convergence"]["supercell"]["wasserstein"] > 0


@pytest.mark.parametrize(
    "settings",
    [{"supercell": (2, 2)}, {"supercell": [[2, 0], [1]]}, {"supercell": ["a", "b", "c"]},
     {"supercell": None}, {"step": 0.0}, {"step": float("nan")}, {"step": "x"}, {"fmax": -1.0}],
)  # fmt: skip
def test_settings_without_meaning_are_refused(settings: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(PotentialError):
        reference_spectrum(bulk("Cu"), EMT(), **settings)
    with pytest.raises(PotentialError):  # before anything is looked for in the folder
        refine(tmp_path, "emt", settings=ReferenceSettings(**settings))


def test_refined_rows_have_the_bins_of_predictions(tmp_path: Path) -> None:
    with pytest.raises(PotentialError, match="bins of 10"):
        refine(tmp_path, "emt", settings=ReferenceSettings(step=5.0))


@pytest.mark.parametrize("fmax", [0.0, -1.0, float("nan"), "0.01"])
def test_a_force_that_no_relaxation_ends_at_is_refused(fmax: Any) -> None:
    with pytest.raises(PotentialError, match="fmax"):
        predict(bulk("Cu"), relax="emt", fmax=fmax)


class Leaving(EMT):
    """Ends the program, as scripts around solvers do."""

    def get_forces(self, *_args: Any, **_options: Any) -> Any:
        sys.exit("solver: no convergence")


def test_a_calculator_that_exits_is_a_failure_of_its_crystal() -> None:
    atoms: Atoms = bulk("Cu")
    with pytest.raises(PotentialError, match="no convergence"):
        reference_spectrum(atoms, Leaving())
    with pytest.raises(PotentialError, match="no convergence"):
        predict(atoms, relax=Leaving())
