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


MIXED = """Fe0.5Mg0.5 Fe1Mg1 Fe+Mg Fe-Mg Fe:Mg Fe&Mg Fe(Mg) Mg[Fe] Si.75Al.25 Si(1)Al K0.5Na0.5
    Ca2+Na+ C0.5N0.5 FE/MG FE+MG Fe/Mg Fe+V O-H1 O-h O/OH O(H2O) N-H4 O(H) C/N"""
PLAIN = """O1A Fe1' C12B O(1) Fe(1) H1W O-1 Na+ O2- Fe3+ Ca_1 Cl1-A Fe3+17b O_a CaM2 O_H Fe_T H(N1)
    H-O2 C(12) C1B O1_i O1-i O2-a Fe2+B Cl1-B O1W O(1A) C1' N(2)A Si1_2 H12A Na1(A) C1*"""


@pytest.mark.parametrize("label", [*MIXED.split(), "Fe Mg"])
def test_mixtures_and_groups_of_any_spelling_are_refused_by_name(label: str) -> None:
    for read in (element_of_label, element_of_symbol):
        with pytest.raises(NotAnElementError, match="is not a chemical element"):
            read(label)


@pytest.mark.parametrize("label", PLAIN.split())
def test_names_of_sites_are_no_mixtures(label: str) -> None:
    symbol = label[:2] if label[1].islower() else label[:1]
    assert element_of_label(label) == element_of_symbol(symbol)


@pytest.mark.parametrize("name", ["se_pbe_v1.uspp.F.UPF", "O.pbe-n-kjpaw_psl.1.0.0.UPF"])
def test_names_of_files_of_potentials(name: str) -> None:
    assert element_of_symbol(name)[0] == {"s": 34, "O": 8}[name[0]]
