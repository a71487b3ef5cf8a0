from __future__ import annotations

import sys

import numpy as np
import pytest
from ase.build import bulk

from ase_e3dos.analysis.neutron import cross_section, neutron_weighted, site_weights, unit_in_cm
from ase_e3dos.errors import MissingExtraError, SpectrumError
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.structures.crystal import Crystal

THZ = unit_in_cm("THz")


def modes(w):
    return np.trapezoid(w.weighted, w.wavenumbers) / THZ


def test_weights_are_cross_section_over_mass(salt):
    pytest.importorskip("periodictable")
    weights = site_weights(salt.crystal)
    assert weights == pytest.approx([3.28 / 22.99, 16.8 / 35.45], rel=0.01)  # Sears 1992
    seen = neutron_weighted(salt)
    expected = weights @ salt.site_density
    assert seen.weighted / seen.weighted.max() == pytest.approx(expected / expected.max())
    assert modes(seen) == pytest.approx(6.0, rel=1e-6)


def test_deuterium_is_not_hydrogen():
    pytest.importorskip("periodictable")
    assert cross_section(1) == pytest.approx(82.02)
    assert cross_section(1, 2.014) == pytest.approx(7.64)
    assert cross_section(28, 57.935) == pytest.approx(26.1)  # Ni-58
    assert cross_section(28, 58.6934) == pytest.approx(18.5)
    half = (cross_section(1, 1.0078) + cross_section(1, 2.0141)) / 2
    assert cross_section(1, (1.0078 + 2.0141) / 2) == pytest.approx(half, rel=1e-3)
    with pytest.raises(SpectrumError, match="mixture"):
        cross_section(11, 46.0)
    with pytest.raises(SpectrumError, match="tabulated"):
        cross_section(85)


def test_other_views(salt, rock_salt):
    assert site_weights(rock_salt, "xray") == pytest.approx([121 / 22.99, 289 / 35.45], rel=1e-3)
    assert neutron_weighted(salt, weighting="none").weighted == pytest.approx(salt.density)
    sodium = neutron_weighted(salt, weighting="Na").weighted
    assert sodium == pytest.approx(2 * salt.site_density[0])
    for wrong in ("Fe", "light"):
        with pytest.raises(SpectrumError, match="element"):
            neutron_weighted(salt, weighting=wrong)
    total = PhononSpectrum(salt.wavenumbers, salt.density, crystal=salt.crystal)
    with pytest.raises(SpectrumError, match="site densities"):
        neutron_weighted(total, weighting="xray")
    assert modes(neutron_weighted(total, weighting="none")) == pytest.approx(6.0)


def test_one_element_needs_no_site_densities():
    pytest.importorskip("periodictable")
    x = np.arange(5.0, 500, 10)
    crystal = Crystal.from_any(bulk("Cu"))
    s = PhononSpectrum(x, np.exp(-(((x - 200) / 40) ** 2)), crystal=crystal)
    assert neutron_weighted(s).weighted == pytest.approx(s.density)


@pytest.mark.parametrize("unit", ["meV", "THz", "cm-1"])
def test_constant_resolution_adds_in_quadrature(rock_salt, unit):
    x = np.arange(1.0, 600.0, 2.0)
    line = (np.abs(x - 301) < 0.5).astype(float)
    s = PhononSpectrum(x, [line, line], crystal=rock_salt)
    fwhm = 4 * unit_in_cm("meV")
    seen = neutron_weighted(s, resolution=fwhm / unit_in_cm(unit), unit=unit, weighting="none")
    w = seen.weighted / seen.weighted.sum()
    mean = w @ seen.wavenumbers
    assert mean == pytest.approx(301, abs=0.1)
    deviation = np.sqrt(w @ (seen.wavenumbers - mean) ** 2)
    assert deviation == pytest.approx(np.hypot(fwhm / 2.3548, 2 / 6**0.5), rel=0.01)
    assert modes(seen) == pytest.approx(6.0, rel=1e-4)
    assert seen.energies("meV")[0] == pytest.approx(seen.wavenumbers[0] / 8.0655, rel=1e-3)
    area = np.trapezoid(seen.density("meV"), seen.energies("meV"))
    assert area == pytest.approx(6.0, rel=1e-4)


def test_a_narrow_line_on_a_wide_grid(rock_salt):
    """The broadening of 0.01 meV adds nothing to bins of 10 cm^-1, and takes no gigabytes."""
    x = np.arange(-395.0, 4400.0, 10.0)
    y = np.where(x == 305.0, 1.0, 1e-9)
    s = PhononSpectrum(x, [y, y], crystal=rock_salt)
    seen = neutron_weighted(s, resolution=0.01, weighting="none")
    w = seen.weighted / seen.weighted.sum()
    mean = w @ seen.wavenumbers
    assert mean == pytest.approx(305, abs=0.1)
    assert modes(seen) == pytest.approx(6.0, rel=1e-4)
    near = np.abs(seen.wavenumbers - 305) < 12
    assert w[near].sum() == pytest.approx(1.0, abs=1e-5)


def test_resolution_as_a_function_of_energy(salt):
    seen = neutron_weighted(salt, resolution=lambda e: 1.0 + 0.05 * np.abs(e), weighting="none")
    assert modes(seen) == pytest.approx(6.0, rel=1e-6)
    assert seen.std is not None
    assert (seen.std >= 0).all()
    for bad in (-1.0, 0.0, lambda e: e - 20.0, np.nan):
        with pytest.raises(SpectrumError, match="resolution"):
            neutron_weighted(salt, resolution=bad, weighting="none")


def test_the_missing_package_is_named(salt, monkeypatch):
    monkeypatch.setitem(sys.modules, "periodictable", None)
    with pytest.raises(MissingExtraError, match=r"pip install \"ase-e3dos\[neutron\]\""):
        salt.neutron_weighted()
    salt.neutron_weighted(weighting="xray", resolution=2.0)
