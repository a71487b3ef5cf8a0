"""Calculators by name: built in, of third parties, with weights that are or are not at hand."""

from __future__ import annotations

import sys
from functools import partial
from types import ModuleType

import pytest
from ase.calculators.emt import EMT

from ase_e3dos.errors import PluginError, PotentialError
from ase_e3dos.plugins import CalculatorSpec, PluginRegistry, get_registry, hookimpl
from ase_e3dos.potentials.choice import (
    calculator_factory,
    calculator_identity,
    calculator_name,
    calculator_of,
    check_calculator,
)


class Theirs:
    """A plug-in that offers a potential whose weights are a file."""

    @hookimpl
    def ase_e3dos_calculators(self):
        yield CalculatorSpec(
            name="their-emt",
            factory=lambda *, device, weights: EMT(),
            weights="their.weights",
            weights_url="https://example.org/their.weights",
        )


def test_what_is_built_in_is_listed_without_importing_it() -> None:
    specs = PluginRegistry(plugins=[]).calculators()
    wanted = {"emt", "mace", "chgnet", "sevennet", "nequix", "orb", "mattersim", "matgl"}
    assert wanted <= set(specs)
    for name in wanted - {"emt"}:
        assert specs[name].install
        assert specs[name].licence
        assert specs[name].trained_on
    assert not {"mace", "chgnet", "sevenn", "orb_models"} & set(sys.modules)


def test_a_potential_of_third_parties(tmp_path, monkeypatch) -> None:
    """Found by name; without its weights the error says which file goes where."""
    plugin = Theirs()
    registry = get_registry()
    registry.register(plugin, "theirs")
    monkeypatch.setenv("E3DOS_POTENTIALS", str(tmp_path))
    try:
        assert registry.status()[-1].calculators == ("their-emt",)
        with pytest.raises(PotentialError, match="from https"):
            check_calculator("their-emt")
        (tmp_path / "their.weights").write_bytes(b"1")
        assert isinstance(calculator_of("their-emt"), EMT)
        first = calculator_identity("their-emt")
        (tmp_path / "other.weights").write_bytes(b"2")
        other = f"their-emt={tmp_path / 'other.weights'}"
        assert isinstance(calculator_factory(other)(), EMT)
        assert calculator_name(other) == "their-emt=other.weights"
        assert calculator_identity(other) != first
        with pytest.raises(PotentialError, match="no weights"):
            calculator_factory(f"their-emt={tmp_path / 'none'}")()
        with pytest.raises(PotentialError, match="not on 'cuda'"):
            check_calculator("their-emt", "cuda")
    finally:
        registry.unregister(plugin)
    with pytest.raises(PotentialError, match="their-emt"):
        registry.calculator("their-emt")


def test_what_is_absent_or_broken_says_so(monkeypatch) -> None:
    absent = CalculatorSpec(
        name="absent", factory="no.such:thing", requires=("no_such_module",), install="pip x"
    )
    with pytest.raises(PotentialError, match=r"needs no_such_module.*pip x"):
        absent.make()
    broken = ModuleType("broken_potential")
    broken.make = lambda *, device, weights: 1 / 0  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "broken_potential", broken)
    spec = CalculatorSpec(name="broken", factory="broken_potential:make")
    with pytest.raises(PotentialError, match="ZeroDivisionError"):
        spec.make()
    with pytest.raises(PluginError, match="devices"):
        CalculatorSpec(name="bad", factory="a:b", devices="cpu")  # type: ignore[arg-type]
    with pytest.raises(PotentialError, match="is not a calculator"):
        calculator_of(3.0)  # type: ignore[arg-type]
    with pytest.raises(PotentialError, match=r"could not be made \(ZeroDivisionError"):
        calculator_of(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    with pytest.raises(PotentialError, match="is float: give a function"):
        check_calculator("math:pi")


def test_a_module_whose_parent_is_absent_is_missing() -> None:
    spec = CalculatorSpec(
        name="absent", factory=lambda *, device, weights: EMT(), requires=("no_such_parent.b.c",)
    )
    assert spec.missing() == ("no_such_parent.b.c",)


def test_calculators_that_nothing_tells_apart_are_refused() -> None:
    def within() -> EMT:
        return EMT()

    for nameless in (EMT(), within, lambda: EMT(), partial(EMT, atoms=object())):
        with pytest.raises(PotentialError, match="module:function"):
            calculator_identity(nameless)
    one, other = (calculator_identity(partial(EMT, asap_cutoff=c)) for c in (True, False))
    assert one != other
