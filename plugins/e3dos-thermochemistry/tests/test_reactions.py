from __future__ import annotations

import numpy as np
import pytest
from e3dos_thermochemistry import Solid, balanced, gas, react
from e3dos_thermochemistry.errors import GasError, ReactionError

EQUATION = "MgCO3 -> MgO + CO2"
# of formation at 298.15 K, kJ/mol: CRC Handbook of Chemistry and Physics
ENTHALPIES = {"MgCO3": -1095.8, "MgO": -601.6}
T = np.arange(250.0, 1501.0, 25.0)


@pytest.fixture(scope="module")
def solids(predicted):
    return [predicted["MgCO3"], predicted["MgO"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CaCO3 -> CaO + CO2", "CaCO3 -> CaO + CO2"),
        ("LiOH = Li2O+H2O", "2 LiOH -> Li2O + H2O"),
        ("5 Fe2O3 + C → Fe + CO2", "2 Fe2O3 + 3 C -> 4 Fe + 3 CO2"),
        ("2MgH2 -> 2Mg + 2H2", "MgH2 -> Mg + H2"),
    ],
)
def test_balances(text, expected):
    assert str(balanced(text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CaCO3", "not an equation"),
        ("CaCO3 -> CaO", "cannot be balanced"),
        ("Xy -> CaO", "not a formula"),
        ("SiO2 -> SiO2", "twice"),
        ("H2 + O2 -> H2O + H2O2", "more than one way"),
        ("CaO + CO2 + CaCO3 -> CaC2O5", "more than one way|left out"),
    ],
)
def test_refuses(text, message):
    with pytest.raises(ReactionError, match=message):
        balanced(text)


def test_gibbs_energy_and_entropy_belong_together(solids):
    found = react(EQUATION, solids, enthalpies=ENTHALPIES, temperatures=T, pressures=0.01)
    slope = np.gradient(found.gibbs, T)[1:-1]
    assert -1000 * slope == pytest.approx(found.entropy[1:-1], abs=0.02)
    rise = np.gradient(found.enthalpy, T)[1:-1]
    assert 1000 * rise == pytest.approx(found.heat_capacity[1:-1], abs=0.2)


def test_enthalpy_at_room_temperature_is_the_one_given(solids):
    found = react(EQUATION, solids, enthalpies=ENTHALPIES, temperatures=[298.15, 400.0])
    assert found.enthalpy[0] == pytest.approx(-601.6 - 393.51 + 1095.8)


def test_energies_and_enthalpies_of_one_crystal_give_the_same(solids, predicted):
    energies = {}
    for name in ENTHALPIES:
        thermal = float(Solid(predicted[name]).enthalpy(298.15))
        energies[name] = (ENTHALPIES[name] - thermal) / 96.485332
    energies["CO2"] = (-393.51 - gas("CO2").above_energy) / 96.485332
    a = react(EQUATION, solids, energies=energies, temperatures=T)
    b = react(EQUATION, solids, enthalpies=ENTHALPIES, temperatures=T)
    assert a.gibbs == pytest.approx(b.gibbs, abs=1e-3)


def test_equilibrium_is_where_tables_have_it_and_moves_with_the_pressure(solids):
    found = react(EQUATION, solids, enthalpies=ENTHALPIES, temperatures=T)
    (crossing,) = found.equilibrium
    low, high = crossing.interval
    assert low < crossing.temperature < high
    # by the same tables with measured entropies
    assert crossing.temperature == pytest.approx(580, rel=0.1)
    assert not crossing.rising
    pressure, least, most = found.equilibrium_pressure()
    assert np.interp(crossing.temperature, T, pressure) == pytest.approx(1.0, rel=0.1)
    assert (least < pressure).all()
    assert (pressure < most).all()
    at = float(np.interp(500.0, T, pressure))
    lower = react(EQUATION, solids, enthalpies=ENTHALPIES, temperatures=T, pressures={"CO2": at})
    assert lower.equilibrium[0].temperature == pytest.approx(500, abs=1)


def test_solids_alone_obey_dulong_petit_and_the_third_law(debye):
    from ase.build import bulk

    cutoffs = {"NaCl": 220.0, "KBr": 150.0, "NaBr": 180.0, "KCl": 190.0}
    solids = [debye(bulk(name, "rocksalt", a=6.0), c) for name, c in cutoffs.items()]
    found = react("NaCl + KBr -> NaBr + KCl", solids, temperatures=[1.0, 20000.0])
    assert found.gibbs is None
    assert found.half_widths == {}
    assert found.entropy[0] == pytest.approx(0, abs=1e-3)
    assert found.heat_capacity[1] == pytest.approx(0, abs=1e-3)
    # classical limit: the entropy of a mode is k_B ln(T / theta) and what all modes share
    assert found.entropy[1] == pytest.approx(
        -6 * 8.31446 * np.log(180 * 190 / (220 * 150)), rel=2e-2
    )


def test_says_what_does_not_fit(solids, predicted):
    with pytest.raises(ReactionError, match="not in"):
        react("MgCO3 -> MgO + CO2", [*solids, predicted["CaO"]])
    with pytest.raises(GasError, match="structure file"):
        react(EQUATION, solids[:1])
    with pytest.raises(ReactionError, match="no energy of MgO"):
        react(EQUATION, solids, energies={"MgCO3": -1.0})
    with pytest.raises(ReactionError, match="not a gas of this reaction"):
        react(EQUATION, solids, pressures={"H2O": 1.0})
    with pytest.raises(ReactionError, match="ascending"):
        react(EQUATION, solids, temperatures=[300.0, 200.0])
