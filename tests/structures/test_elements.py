"""Names of atoms that stand for two elements, or for one with something behind it."""

import pytest

from ase_e3dos.structures.elements import (
    NotAnElementError,
    element_of_label,
    element_of_symbol,
)


@pytest.mark.parametrize(
    "symbol", ["Fe/Mg", "Fe_Mg", "Fe.Mg", "Si(Al)", "Si4+/Al3+", "O_H", "O(H)", "O(H2)"]
)
def test_a_mixture_is_not_its_first_element(symbol: str) -> None:
    with pytest.raises(NotAnElementError):
        element_of_symbol(symbol)


@pytest.mark.parametrize("label", ["Fe/Mg1", "Si,Al1", "Al_Si"])
def test_a_label_of_two_elements_is_refused(label: str) -> None:
    with pytest.raises(NotAnElementError):
        element_of_label(label)


@pytest.mark.parametrize(
    ("symbol", "number"),
    [("Na_pv", 11), ("Ti_sv_GW", 22), ("Cs/0f3e", 55), ("N.ar", 7), ("H(SDS)", 1), ("O_h", 8)],
)
def test_names_of_potentials_and_types_are_no_mixtures(symbol: str, number: int) -> None:
    assert element_of_symbol(symbol)[0] == number
