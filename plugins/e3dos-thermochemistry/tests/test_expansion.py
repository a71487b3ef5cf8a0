from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from e3dos_thermochemistry import ThermalExpansion, thermal_expansion
from e3dos_thermochemistry.errors import ThermochemistryError
from e3dos_thermochemistry.expansion import bulk_modulus_of, scaled

MODULUS = 100.0
CUTOFFS = (620.0, 580.0)
EDGES = (0.99, 1.01)
# g ~ w^2 falls to zero within the grid's step of 1 cm^-1 beyond the cut-off
GRUNEISEN = -np.log(620.5 / 580.5) / (3 * np.log(0.99 / 1.01))
VOLUME = bulk("MgO", "rocksalt", a=4.212).get_volume() * 6.02214076e23 * 1e-30  # m^3/mol


@pytest.fixture(scope="module")
def expansion(debye):
    """Debye's solid whose frequencies fall as V^-gamma."""
    atoms = bulk("MgO", "rocksalt", a=4.212)
    small, large = (debye(scaled(atoms, f), c) for f, c in zip(EDGES, CUTOFFS, strict=True))
    return ThermalExpansion(small, large, MODULUS)


def test_gruneisen_parameter_and_what_follows_from_it(expansion):
    t = np.array([300.0, 600.0, 1000.0])
    capacity = (expansion.small.heat_capacity(t) + expansion.large.heat_capacity(t)) / 2
    assert expansion.gruneisen(t) == pytest.approx(GRUNEISEN, rel=0.01)
    assert expansion.coefficient(t) == pytest.approx(
        GRUNEISEN * capacity / (VOLUME * MODULUS * 1e9), rel=0.02
    )
    at_reference = expansion.heat_capacity(298.15)
    textbook = 298.15 * expansion.coefficient(298.15) ** 2 * MODULUS * 1e9 * VOLUME
    assert at_reference == pytest.approx(float(textbook), rel=1e-3)


def test_maxwell_relations_hold(expansion):
    for t in (100.0, 500.0, 1500.0):
        step = 0.5
        slope = (expansion.gibbs(t + step) - expansion.gibbs(t - step)) / (2 * step)
        assert -1000 * slope == pytest.approx(float(expansion.entropy(t)), rel=1e-3, abs=1e-4)
        rise = (expansion.entropy(t + step) - expansion.entropy(t - step)) / (2 * step)
        assert t * rise == pytest.approx(float(expansion.heat_capacity(t)), rel=1e-3, abs=1e-4)
    assert expansion.gibbs(298.15) == expansion.entropy(298.15) == expansion.pressure(298.15) == 0


def test_bulk_modulus_from_a_calculator_and_the_whole_way():
    copper = bulk("Cu", "fcc", a=3.59)
    modulus = bulk_modulus_of(copper, EMT())
    assert modulus == pytest.approx(134, rel=0.05)  # ASE's own equation of state of EMT copper
    found = thermal_expansion(copper, modulus)
    assert 0 < found.heat_capacity(300.0) < 3  # measured: 0.7 J/(K mol)


def test_refuses_what_makes_no_sense(expansion):
    with pytest.raises(ThermochemistryError, match="smaller first"):
        ThermalExpansion(expansion.large, expansion.small, MODULUS)
    with pytest.raises(ThermochemistryError, match="positive, in GPa"):
        ThermalExpansion(expansion.small, expansion.large, -1.0)
    with pytest.raises(ThermochemistryError, match="needs a bulk modulus"):
        thermal_expansion(bulk("Cu"))
