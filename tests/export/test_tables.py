"""Spectra as tables, pages and cards of notebooks."""

from __future__ import annotations

import re

import numpy as np
import pytest
from phonopy.phonon.thermal_properties import ThermalProperties

from ase_e3dos.errors import OutputError, SpectrumError
from ase_e3dos.export.overlays import Overlay
from ase_e3dos.phonon_spectrum import Spectra
from ase_e3dos.spectrum.uncertainty import Calibration, Spread

pd = pytest.importorskip("pandas", reason="pandas is not installed")


@pytest.fixture
def calibrated(salt):
    spread = Spread(0.2, 0.0, (0.5, 0.9), (1.0, 2.0), 100, 0.01)
    quantities = ("heat_capacity", "entropy", "free_energy")
    spreads = {q: {100.0: spread, 300.0: spread} for q in quantities}
    salt.calibration = Calibration(spreads | {"density": {0.0: spread}})
    return salt


def test_a_table_over_temperature_is_one_step(calibrated, tmp_path):
    salt, t = calibrated, [0.0, 77.5, 300.0]
    result = salt.thermal_properties(t)
    assert isinstance(result, ThermalProperties)
    result.to_csv(tmp_path / "a.csv")
    salt.write(tmp_path / "thermal.csv", temperatures=t)
    for name in ("a.csv", "thermal.csv"):
        table = pd.read_csv(tmp_path / name)
        np.testing.assert_allclose(table["temperature_K"], t)
        heat = table["heat_capacity_J_per_K_mol"]
        np.testing.assert_allclose(heat, salt.heat_capacity(t), rtol=2e-3, atol=1e-6)
        np.testing.assert_allclose(
            table["entropy_J_per_K_mol"], salt.entropy(t), rtol=2e-3, atol=1e-6
        )
        np.testing.assert_allclose(table["free_energy_kJ_per_mol"], salt.free_energy(t), rtol=2e-3)
        np.testing.assert_allclose(
            table["internal_energy_kJ_per_mol"], salt.internal_energy(t), rtol=2e-3
        )
        low, high = salt.interval("heat_capacity", 0.9, 300.0)
        assert table["heat_capacity_low_J_per_K_mol"][2] == pytest.approx(low, rel=2e-3)
        assert table["heat_capacity_high_J_per_K_mol"][2] == pytest.approx(high, rel=2e-3)
        kelvin, inner = table["temperature_K"], table["internal_energy_kJ_per_mol"]
        free = table["free_energy_kJ_per_mol"] + kelvin * table["entropy_J_per_K_mol"] / 1000
        np.testing.assert_allclose(inner, free, rtol=1e-6)
        assert (
            inner[0]
            == table["free_energy_kJ_per_mol"][0]
            == pytest.approx(float(salt.free_energy(0.0)), rel=1e-7)
        )
        bounds = [n for n in table if "_low_J_per_K" in n]
        assert len(bounds) == 2
        assert table[bounds].min().min() >= 0
    frame = result.to_dataframe()
    written = pd.read_csv(tmp_path / "a.csv")
    assert list(frame.columns) == list(written.columns)
    assert written.iloc[0, :3].tolist() == ["NaCl", 2, "cell"]
    salt.write(tmp_path / "dos.csv")
    assert "frequency_THz" in pd.read_csv(tmp_path / "dos.csv")


def test_many_become_one_table(calibrated, copper):
    many = Spectra([calibrated, copper])
    frame = many.to_dataframe([100.0, 300.0])
    assert list(frame["crystal"]) == ["NaCl", "NaCl", "Cu", "Cu"]
    assert frame["heat_capacity_J_per_K_mol"][3] == pytest.approx(copper.heat_capacity(300.0))
    assert frame["heat_capacity_low_J_per_K_mol"].isna().tolist() == [False, False, True, True]
    assert many[:1] == [calibrated]
    assert isinstance(many[:1], Spectra)
    assert list(frame["n_sites"]) == [2, 2, 1, 1]
    assert list(frame["per"]) == [calibrated.normalization] * 2 + [copper.normalization] * 2
    assert frame.attrs["formula"] == "NaCl, Cu"


def test_notebooks_show_cards(calibrated, copper):
    html = calibrated._repr_html_()
    low, high = calibrated.interval("heat_capacity", 0.9, 300.0)
    value = calibrated.heat_capacity(300.0)
    half = max(high - value, value - low)
    assert f"{value:.1f} ± {half:.1f} J/(K mol)" in html
    assert "<svg" in html
    assert "calibrated 90 % interval" in html
    assert "±" not in copper._repr_html_()
    bundle = Spectra([calibrated, copper] * 15)._repr_mimebundle_()
    assert bundle["text/html"].count("<svg") == 20
    assert "and 10 more" in bundle["text/html"]
    assert "30 spectra" in bundle["text/plain"]


def test_the_page_stands_alone(calibrated, copper, tmp_path):
    pytest.importorskip("plotly", reason="plotly is not installed")
    from ase_e3dos.export.page import figure, write_page

    copper_named = Spectra([calibrated, copper])
    write_page(copper_named, tmp_path / "page.html", title="</title><script>alert(1)</script>")
    text = (tmp_path / "page.html").read_text()
    own = re.sub(r"<script[^>]*>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.findall(r"""(?:src|href)\s*=\s*["']?(?!data:)[^"'>\s]+""", own)
    assert "<script>alert(1)" not in text
    with pytest.raises(OutputError, match="folder exists"):
        write_page(copper_named, tmp_path / "none" / "page.html")
    grouped = figure(copper_named)
    heat_of = [t for t in grouped.data if t.xaxis == "x2" and t.name == "Cu" and t.visible]
    density_of = [t for t in grouped.data if t.xaxis == "x" and t.name == "Cu"]
    assert [t.legendgroup for t in heat_of] == [t.legendgroup for t in density_of]
    assert grouped.layout.legend.groupclick == "togglegroup"
    data = figure(calibrated).data
    assert {t.name for t in data} >= {"NaCl", "Na 0", "Cl 1"}
    heat = next(t for t in data if t.xaxis == "x2" and t.name == "NaCl")
    assert heat.y[-1] == pytest.approx(calibrated.heat_capacity(1000.0), rel=1e-4)
    heat_only = figure(copper_named, panels=["entropy"], temperatures=[5.0, 9.0], style="dark")
    assert {tuple(t.x) for t in heat_only.data if t.fill is None} == {(5.0, 9.0)}
    assert heat_only.layout.yaxis.title.text.startswith("S (J")
    fall = figure(copper_named, layout="waterfall", units="meV", smoothing=10, projection=None)
    first, second = [t for t in fall.data if t.xaxis == "x" and t.fill is None]
    assert min(second.y) > 0.5 * max(first.y)
    assert max(second.customdata) == pytest.approx(max(second.y) - min(second.y), rel=0.02)
    assert "smoothed by 10" in fall.layout.yaxis.title.text
    parts = [t for t in figure([calibrated] * 2).data if t.xaxis == "x" and t.fill is None]
    assert len(parts) == len({t.line.color for t in parts}) == 6  # two totals, two sites of each
    salts = figure([calibrated] * 24)
    lines = [t for t in salts.data if t.xaxis == "x" and t.fill is None]
    assert len({(t.line.color, t.line.dash) for t in lines}) == len(lines) == 24
    shown = [t.name for t in salts.data if t.showlegend is not False]
    assert shown == [f"NaCl #{k}" for k in range(1, 25)]
    (_, switch) = salts.layout.updatemenus
    bands = [k for k, t in enumerate(salts.data) if t.fill == "toself"]
    assert switch.buttons[0].label == "shaded: 90 % interval"
    assert list(switch.buttons[0].args[1]) == bands
    assert salts.layout.height > figure([calibrated] * 2).layout.height + 29
    dos = Overlay("DFT", calibrated.frequencies, calibrated.density)
    laid = [t for t in figure(copper, overlays=[dos, dos]).data if "same area" in str(t.name)]
    assert [t.name for t in laid] == ["DFT #1 (same area)", "DFT #2 (same area)"]
    assert laid[0].line.dash != laid[1].line.dash
    stacked = figure(calibrated, stacked=True)
    assert len([t for t in stacked.data if t.stackgroup]) == 2
    for options in ({"style": "phonopy"}, {"layout": "grid"}, {"panels": ["band"]}):
        with pytest.raises(SpectrumError, match=next(iter(options))):
            figure(calibrated, **options)
    calibrated.write(tmp_path / "own.html")
    assert (tmp_path / "own.html").stat().st_size > 1e6
