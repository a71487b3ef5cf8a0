from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from ase_e3dos.analysis.measurement import Measurement, compare, read_measurement
from ase_e3dos.analysis.neutron import neutron_weighted, unit_in_cm
from ase_e3dos.errors import MeasurementWarning, SpectrumError, UnreadableFileError
from ase_e3dos.export.plots import plot_comparison


def as_measured(salt, unit="meV", weighting="xray"):
    seen = neutron_weighted(salt, resolution=2.0, weighting=weighting)
    e = np.arange(0.5, 40, 0.5)
    y = np.interp(e, seen.energies("meV"), seen.density("meV"))
    return e * unit_in_cm("meV") / unit_in_cm(unit), 17.3 * y


@pytest.mark.parametrize("unit", ["meV", "THz", "cm-1"])
@pytest.mark.parametrize(
    "header", ["# Energy ({u}), DoS, error", "energy/{u};g(E);s", "E [{u}]\tDOS\terr"]
)
def test_the_units_of_a_file_are_found(salt, tmp_path, unit, header):
    x, y = as_measured(salt, unit)
    path = tmp_path / "measured.csv"
    separator = {";": ";", "\t": "\t"}.get(header[-2] if ";" in header else header[-4], ",")
    rows = [separator.join(f"{v:.8g}" for v in row) for row in zip(x, y, 0 * y + 0.1, strict=True)]
    path.write_text("\n".join([header.format(u=unit), *rows]) + "\n")
    m = read_measurement(path)
    assert m.unit == unit
    assert m.wavenumbers[0] == pytest.approx(0.5 * 8.0655, rel=1e-3)
    assert m.error is not None
    c = compare(salt, m, resolution=2.0 * unit_in_cm("meV") / unit_in_cm(unit), weighting="xray")
    assert c.overlap > 0.99
    assert c.wasserstein < 1.0


def test_equal_spectra_agree_and_shifted_ones_do_not(salt):
    x, y = as_measured(salt)
    same = compare(salt, Measurement.of(x, y), resolution=2.0, weighting="xray")
    assert same.scale == pytest.approx(1 / 17.3 / unit_in_cm("meV") * unit_in_cm("THz"), rel=0.01)
    assert same.cosine == pytest.approx(1.0, abs=1e-4)
    assert same.mean[0] == pytest.approx(same.mean[1], rel=1e-6)
    assert same.peaks[0] == pytest.approx(same.peaks[1], abs=1.0)
    assert len(same.peaks[0]) == 2
    assert same.peaks[0][1] == pytest.approx(250, abs=5)
    assert len(same.gaps[0]) == 1
    assert same.covered == pytest.approx(1.0, abs=0.01)
    assert same.within_band is not None
    moved = compare(salt, Measurement.of(x + 2.0, y), resolution=2.0, weighting="xray")
    assert moved.wasserstein == pytest.approx(2.0 * 8.0655, rel=0.1)
    assert moved.mean[1] - moved.mean[0] == pytest.approx(2.0 * 8.0655, rel=0.1)
    assert moved.overlap < same.overlap
    json.dumps(moved.to_dict())
    plot_comparison(moved)


@pytest.mark.parametrize("row", ["{0};{1}", "{0}\t{1}", "{0}  {1}"])
def test_decimal_commas(tmp_path, row):
    """1,5;0,3 is 1.5 and 0.3, not four columns; a whole number among them changes nothing."""
    path = tmp_path / "m.txt"
    values = [("1", "0,25"), ("2,5", "1"), ("3,5", "2,125"), ("4,5", "3,0e-1"), ("5,5", "0,5")]
    path.write_text("Energie (meV)\n" + "\n".join(row.format(*v) for v in values))
    m = read_measurement(path)
    assert m.wavenumbers / unit_in_cm("meV") == pytest.approx([1, 2.5, 3.5, 4.5, 5.5])
    assert m.intensity == pytest.approx([0.25, 1, 2.125, 0.3, 0.5])
    path.write_text("meV\n" + "\n".join(f'"{k}.5","0.{k}"' for k in range(1, 7)))
    assert read_measurement(path).intensity == pytest.approx(np.arange(1, 7) / 10)


ROWS = "\n".join(f"{k}.5,0.{k}" for k in range(1, 9))


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("energy_meV,dos", "meV"),
        ("E[cm⁻¹],g", "cm-1"),
        ("E/THz, dos (1/meV)", "THz"),
        ("# Ei=60 meV\nfrequency (THz),dos", "THz"),
        ("energy (meV),dos (states/meV)", "meV"),
        ("Energy [meV], g [meV^-1]", "meV"),
    ],
)
def test_headers_as_people_write_them(tmp_path, header, unit):
    path = tmp_path / "m.csv"
    path.write_text(f"{header}\n{ROWS}\n", encoding="utf-8")
    m = read_measurement(path)
    assert m.unit == unit
    assert m.wavenumbers[0] == pytest.approx(1.5 * unit_in_cm(unit))
    other = "meV" if unit != "meV" else "THz"
    with pytest.warns(MeasurementWarning, match=f"header says {unit}, .* read as {other}"):
        assert read_measurement(path, other).unit == other
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read_measurement(path, unit)
        path.write_text(f"E, dos (1/meV)\n{ROWS}\n")
        read_measurement(path, "THz")


def test_a_range_that_holds_few_modes_is_warned_of(salt):
    x, y = as_measured(salt)
    few = x < 10
    with pytest.warns(MeasurementWarning, match=r"only .*% of the predicted modes .*\(meV\)"):
        compare(salt, Measurement.of(x[few], y[few]), weighting="xray")


def test_a_setting_is_no_unit_and_an_index_no_energy(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "m.csv"
    path.write_text(f"Ei=60 meV; frequency,dos\n{ROWS}\n")
    with pytest.raises(SpectrumError, match="names no unit"):
        read_measurement(path)
    table = pandas.DataFrame({"E (meV)": np.arange(5.5, 25.5), "dos": np.arange(20.0)})
    table.to_csv(path)
    m = read_measurement(path)
    assert m.wavenumbers / unit_in_cm("meV") == pytest.approx(np.arange(5.5, 25.5))
    assert m.error is None
    path.write_text("meV\n" + "\n".join(f"{k},5,0,{k}00" for k in range(1, 9)))
    with pytest.raises(UnreadableFileError, match="decimal point"):
        read_measurement(path)


def test_zeros_beside_the_band_do_not_count(salt):
    x, y = as_measured(salt)
    wrong = y * np.where(x < 20, 1.5, 0.7)
    short = compare(salt, Measurement.of(x, wrong), resolution=2.0, weighting="xray")
    padded = np.concatenate([x, np.arange(41, 300, 0.5)])
    zeros = np.concatenate([wrong, np.zeros(len(padded) - len(x))])
    long = compare(salt, Measurement.of(padded, zeros), resolution=2.0, weighting="xray")
    assert short.within_band < 0.8
    assert long.within_band == pytest.approx(short.within_band, abs=0.05)


def test_bad_files_say_what_is_wrong(salt, tmp_path):
    path = tmp_path / "m.csv"
    with pytest.raises(UnreadableFileError, match="cannot be read"):
        read_measurement(path)
    path.write_text("meV\n1 2\n2 3\n")
    with pytest.raises(UnreadableFileError, match="five"):
        read_measurement(path)
    path.write_text("\n".join(f"{k} {k}" for k in range(1, 20)))
    with pytest.raises(SpectrumError, match="unit"):
        read_measurement(path)
    far = read_measurement(path, "THz")
    Measurement.of([3, 2, 1, 4, 5, 5], [1, 1, 1, 1, 1, 1])  # any order, repeated points
    with pytest.raises(SpectrumError, match="No predicted mode"):
        compare(
            salt,
            Measurement.of(far.wavenumbers + 3000, far.intensity, unit="cm-1"),
            weighting="none",
        )
    with pytest.raises(SpectrumError, match="differ in length"):
        Measurement.of([1, 2, 3], [1, 2])


def test_command(default_model, run_cli, tmp_path, crystals_folder):
    pytest.importorskip("periodictable")
    path, figure = tmp_path / "m.csv", tmp_path / "m.png"
    e = np.arange(1.0, 60.0)
    path.write_text("meV,dos\n" + "\n".join(f"{x},{np.exp(-(((x - 25) / 12) ** 2))}" for x in e))
    arguments = ["compare", crystals_folder / "NaCl.cif", path, "--model", default_model]
    code, out, _ = run_cli(
        *arguments, "--resolution", 2, "--resolution-slope", 0.02, "--plot", figure
    )
    assert code == 0
    assert "overlap" in out
    assert "peaks (meV)" in out
    assert figure.stat().st_size > 1000
    code, out, _ = run_cli(*arguments, "--json", "--weighting", "none")
    assert json.loads(out)["overlap"] > 0
    code, _, err = run_cli(*arguments, "--weighting", "Fe")
    assert code == 2
    assert err.startswith("error:")
