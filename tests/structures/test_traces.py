"""A trace of an element changes no class of chemistry."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from ase_e3dos.structures.chemistry import chemistry_of
from ase_e3dos.structures.crystal import Crystal


def mixed(share: float, element: int) -> Crystal:
    pure = Crystal.from_any(bulk("GaSb", "zincblende", a=6.1))
    return Crystal(
        cell=pure.cell,
        scaled_positions=pure.scaled_positions,
        species_site=[0, 1, 1],
        species_number=[31, 51, element],
        species_fraction=[1.0, 1.0 - share, share],
    )


@pytest.mark.parametrize("element", [83, 8, 1, 26])
def test_traces_change_no_class(element: int) -> None:
    pure = chemistry_of([Crystal.from_any(bulk("GaSb", "zincblende", a=6.1))])
    assert np.array_equal(chemistry_of([mixed(1e-6, element)]), pure)
    assert not np.array_equal(chemistry_of([mixed(0.1, element)]), pure)
