from __future__ import annotations

import os
import warnings
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from e3dos_element_properties import ElementProperties, plugin
from e3dos_element_properties.table import element_properties

from ase_e3dos import Crystal, E3DOSPredictor, predict
from ase_e3dos.errors import EncoderError
from ase_e3dos.plugins import PluginRegistry, get_registry
from ase_e3dos.testing import check_encoder


def test_keeps_the_contract_for_all_elements():
    (spec,) = plugin.ase_e3dos_encoders()
    assert "mixed sites" in check_encoder(spec, elements=range(1, 119))


def test_is_found_by_name_once_registered():
    registry = PluginRegistry(plugins=[])
    registry.register(plugin)
    assert registry.encoder("element_properties").accepts_mixed
    assert ("element_properties" in registry.models()) == plugin.WEIGHTS.is_file()


@pytest.fixture
def installed():
    """The package as pip installed it: found by its entry point."""
    if not entry_points(group="ase_e3dos", name="element_properties"):
        pytest.skip("the package is not installed (pip install it from its folder)")
    rows = {row.distribution: row for row in get_registry().status()}
    row = rows["e3dos-element-properties"]
    assert (row.status, row.models) == ("loaded", ("element_properties",))


@pytest.mark.usefixtures("installed")
def test_predicts_by_name_once_installed():
    atoms = bulk("MgO", "rocksalt", a=4.21)
    atoms.calc = E3DOSPredictor(model="element_properties", device="cpu")
    spectrum = atoms.calc.get_phonon_dos()
    assert spectrum.n_modes == 6.0
    # DFPT (Petretto et al. 2018, mp-1265): 388.6 cm^-1 and 37.35 J/(K mol of cells) at 300 K
    assert spectrum.mean_wavenumber == pytest.approx(388.6, rel=0.05)
    assert atoms.calc.get_property("heat_capacity", atoms) == pytest.approx(37.35, rel=0.02)
    with pytest.raises(EncoderError, match="trained with the encoder 'element_properties'"):
        predict(atoms, model="element_properties", encoder="mass_one_hot")


@pytest.mark.usefixtures("installed")
def test_alloy_goes_from_one_end_to_the_other():
    def salt(p):
        sites, numbers, fractions = [0, 0, 1], [11, 19, 17], [1 - p, p, 1]
        keep = [f > 0 for f in fractions]
        lattice = (2.82 + 0.33 * p) * (np.ones((3, 3)) - np.eye(3))
        species = (np.array(values)[keep] for values in (sites, numbers, fractions))
        return Crystal(lattice, [[0] * 3, [0.5] * 3], *species)

    crystals = [salt(p) for p in (0.0, 1e-6, 0.5, 1.0)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spectra = predict(crystals, model="element_properties", device="cpu")
    limit = spectra[0].density
    np.testing.assert_allclose(spectra[1].density, limit, atol=1e-3 * limit.max())
    means = [spectrum.mean_wavenumber for spectrum in spectra]
    assert means[3] < means[2] < means[0]


@pytest.mark.usefixtures("installed")
def test_error_on_the_validation_crystals():
    """The number of the README, on the data where they are at hand."""
    folder = os.environ.get("E3DOS_DATA", str(Path(__file__).parents[4] / "shared" / "data"))
    path = Path(folder) / "dfpt_petretto.parquet"
    if not path.is_file():
        pytest.skip(f"no {path.name} in {folder}: set E3DOS_DATA")
    from ase_e3dos.evaluation.predictions import evaluate

    assert evaluate("element_properties", path, "valid", "cpu").errors["R2"] >= 0.75


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
