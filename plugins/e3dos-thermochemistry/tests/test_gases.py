from __future__ import annotations

import numpy as np
import pytest
from e3dos_thermochemistry import gas
from e3dos_thermochemistry.errors import GasError
from e3dos_thermochemistry.gases import ideal_gases

# CODATA Key Values for Thermodynamics (1989): S(298.15 K, 1 bar) in J/(K mol), H(298.15 K) - H(0)
# in kJ/mol.
CODATA = {
    "H2": (130.680, 8.468),
    "N2": (191.609, 8.670),
    "O2": (205.152, 8.680),
    "F2": (202.791, 8.825),
    "Cl2": (223.081, 9.181),
    "CO": (197.660, 8.671),
    "HF": (173.779, 8.599),
    "HCl": (186.902, 8.640),
    "CO2": (213.785, 9.365),
    "H2O": (188.835, 9.905),
    "H2S": (205.81, 9.957),
    "SO2": (248.223, 10.549),
    "NH3": (192.77, 10.043),
}


@pytest.mark.parametrize("name", ideal_gases())
def test_ideal_gases_have_the_tabulated_entropies_and_enthalpies(name):
    entropy, above_zero = CODATA[name]
    found = gas(name)
    assert found.entropy(298.15) == pytest.approx(entropy, abs=0.75)
    assert found.above_zero == pytest.approx(above_zero, abs=0.25 if name == "H2" else 0.1)


def test_functions_are_derivatives_of_one_another_and_pressure_enters_as_it_must():
    found, t, step = gas("CO2"), 900.0, 0.5
    slope = (found.gibbs(t + step, 0.1) - found.gibbs(t - step, 0.1)) / (2 * step)
    assert -1000 * slope == pytest.approx(float(found.entropy(t, 0.1)), rel=1e-5)
    assert found.entropy(t, 0.1) - found.entropy(t) == pytest.approx(8.31446 * np.log(10))
    rise = (found.enthalpy(t + step) - found.enthalpy(t - step)) / (2 * step)
    assert 1000 * rise == pytest.approx(float(found.heat_capacity(t)), rel=1e-4)


def test_agrees_with_cantera():
    pytest.importorskip("cantera", reason="Cantera is not installed")
    t = np.array([300.0, 1000.0, 2000.0])
    for name in ("H2", "N2", "O2", "CO", "CO2", "H2O", "NH3"):
        ours, theirs = gas(name), gas(name, "cantera")
        assert ours.gibbs(t) == pytest.approx(theirs.gibbs(t), abs=1.5), name
        assert ours.enthalpy_of_formation == pytest.approx(theirs.enthalpy_of_formation, abs=0.1)


def test_says_what_is_not_known():
    with pytest.raises(GasError, match="those known are H2"):
        gas("UF6")
    with pytest.raises(GasError, match="from 1 to 6000 K"):
        gas("O2").entropy(0.0)
