from __future__ import annotations

import warnings

import numpy as np
import pytest
from e3dos_element_properties import ElementProperties, plugin
from e3dos_element_properties.table import element_properties

from ase_e3dos import Crystal
from ase_e3dos.plugins import PluginRegistry
from ase_e3dos.testing import check_encoder


def test_keeps_the_contract_for_all_elements():
    (spec,) = plugin.ase_e3dos_encoders()
    assert "mixed sites" in check_encoder(spec, elements=range(1, 119))


def test_is_found_by_name_once_registered():
    registry = PluginRegistry(plugins=[])
    registry.register(plugin)
    assert registry.encoder("element_properties").accepts_mixed
    assert ("element_properties" in registry.models()) == plugin.WEIGHTS.is_file()


def test_mixed_site_lies_between_its_species():
    def site(numbers, fractions):
        crystal = Crystal(5.0 * np.eye(3), [[0, 0, 0]], [0] * len(numbers), numbers, fractions)
        return ElementProperties().encode(crystal)[0]

    mixed = site([32, 50], [0.25, 0.75])
    np.testing.assert_allclose(mixed, 0.25 * site([32], [1]) + 0.75 * site([50], [1]), rtol=1e-6)


def test_table_agrees_with_pymatgen():
    """Independent source: masses, groups and periods exactly, measured properties roughly."""
    element = pytest.importorskip("pymatgen.core.periodic_table").Element
    electronegativity, melting = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for z, row in enumerate(element_properties()[:103], start=1):
            other = element.from_Z(z)
            assert row["symbol"] == other.symbol
            assert float(row["mass"]) == pytest.approx(float(other.atomic_mass), rel=1.1e-2)
            assert int(row["period"]) == other.row
            if row["group"]:
                assert int(row["group"]) == other.group
            if row["electronegativity_pauling"] and other.X == other.X:
                electronegativity.append((float(row["electronegativity_pauling"]), other.X))
            if row["melting_point"] and other.melting_point:
                melting.append((float(row["melting_point"]), float(other.melting_point)))
    assert np.corrcoef(np.transpose(electronegativity))[0, 1] > 0.98
    assert np.corrcoef(np.transpose(melting))[0, 1] > 0.98
