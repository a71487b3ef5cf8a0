"""Values at the edge of what numbers, text and measured files can be."""

from __future__ import annotations

import json
import warnings
from functools import partial

import numpy as np
import pytest
from safetensors.numpy import save_file

from ase_e3dos.analysis import measurement
from ase_e3dos.analysis.measurement import Measurement, read_measurement
from ase_e3dos.errors import (
    DeviceError,
    MeasurementWarning,
    OutputError,
    SpectrumError,
    TrainingError,
    WeightsError,
)
from ase_e3dos.network.weights import load_weights, read_header
from ase_e3dos.training.config import read_config

compare = partial(measurement.compare, weighting="none")
ENERGIES = np.linspace(2.0, 60.0, 59)  # meV


@pytest.fixture
def measured(salt):
    """What the predicted spectrum would look like in counts, in meV."""
    x = ENERGIES * 8.065544
    return np.interp(x, salt.wavenumbers, salt.density) * 1000.0 + 1.0


def numbers(comparison):
    return [comparison.overlap, comparison.cosine, comparison.wasserstein, *comparison.mean]


@pytest.mark.parametrize("sentinel", [-999.0, -9999.0, -99.0, 1e30, -1e38])
def test_values_that_stand_for_missing_ones(salt, measured, sentinel):
    clean = np.ones(len(measured), dtype=bool)
    clean[[3, 20, 21]] = False
    expected = compare(salt, Measurement.of(ENERGIES[clean], measured[clean], unit="meV"))
    filled = np.where(clean, measured, sentinel)
    with pytest.warns(MeasurementWarning, match="3 points that are values such as -999"):
        found = compare(salt, Measurement.of(ENERGIES, filled, unit="meV"))
    assert numbers(found) == pytest.approx(numbers(expected))


def test_negative_counts_are_no_missing_values(measured):
    noisy = measured.copy()
    noisy[5] = -99.0
    noisy[6] = -37.5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kept = Measurement.of(ENERGIES, noisy * [100.0 if k != 5 else 1.0 for k in range(59)])
    assert len(kept.intensity) == 59


@pytest.mark.parametrize("factor", [1e-300, 1e20, 1e300])
def test_intensities_of_any_unit(salt, measured, factor):
    expected = compare(salt, Measurement.of(ENERGIES, measured, unit="meV"))
    found = compare(salt, Measurement.of(ENERGIES, measured * factor, unit="meV"))
    assert numbers(found) == pytest.approx(numbers(expected))
    assert found.scale * factor == pytest.approx(expected.scale)


def test_numbers_that_overflow_and_energies_far_outside(salt, measured, tmp_path):
    expected = compare(salt, Measurement.of(ENERGIES, measured, unit="meV"))
    rows = [f"{x:.3f} {y:.9g}" for x, y in zip(ENERGIES, measured, strict=True)]
    path = tmp_path / "measured.txt"
    rows += ["70 1e400", "1e9 5", "1e300 7", "99 nan"]
    path.write_text("\n".join(["energy (meV) counts", *rows]))
    with pytest.warns(MeasurementWarning, match=r"2 points .* finite.* 2 points .*check the unit"):
        found = compare(salt, read_measurement(path))
    assert numbers(found) == pytest.approx(numbers(expected), rel=1e-5)
    with pytest.raises(SpectrumError, match="five"), pytest.warns(MeasurementWarning, match="unit"):
        Measurement.of(np.linspace(2000, 9000, 50), np.ones(50), unit="meV")  # those were cm^-1


DATE = np.datetime64("2026-01-01")  # which numpy counts in days
IMPOSSIBLE = [1e308, 1e7, 10**400, 10**5000, [300.0, 10**400], "a", None, float("nan"), True, DATE]


@pytest.mark.parametrize("temperature", IMPOSSIBLE, ids=range(len(IMPOSSIBLE)))
def test_impossible_temperatures(salt, temperature):
    for name in ("heat_capacity", "entropy", "free_energy", "specific_heat", "u_iso"):
        with pytest.raises(SpectrumError):
            getattr(salt, name)(temperature)
    with pytest.raises(SpectrumError):
        salt.spread("free_energy", temperature=temperature)


@pytest.mark.parametrize("wavenumbers", ["a", float("nan"), [0.0, float("inf")], [10**400]])
def test_impossible_wavenumbers(salt, wavenumbers):
    for name in ("on_grid", "weight_outside", "as_paper_label"):
        with pytest.raises(SpectrumError, match="finite"):
            getattr(salt, name)(wavenumbers)


def test_impossible_devices_and_names_of_files(salt, rocksalt):
    from ase_e3dos import predict

    for device in (None, "abacus", 3.5):
        with pytest.raises(DeviceError, match="not known"):
            predict(rocksalt, model="paper", device=device)
    with pytest.raises(OutputError, match="zero byte"):
        salt.write("a\0b.dat")


def test_intervals_at_several_temperatures(default_model, rocksalt):
    from ase_e3dos import predict

    (spectrum,) = predict([rocksalt], model=default_model)
    for quantity in ("heat_capacity", "entropy", "free_energy"):
        low, high = spectrum.interval(quantity, temperature=[[100.0, 300.0], [500.0, 700.0]])
        one = spectrum.interval(quantity, temperature=500.0)
        assert np.shape(low) == np.shape(high) == (2, 2)
        assert (low[1, 0], high[1, 0]) == pytest.approx(one)
    assert np.shape(spectrum.interval("heat_capacity", temperature=[])) == (2, 0)
    impossible = {
        "level": ["a", None, True, float("nan")],
        "temperature": ["a", 1e308, 10**400, -1],
    }
    for name, values in impossible.items():
        for value in values:
            with pytest.raises(SpectrumError):
                spectrum.interval("free_energy", **{name: value})


@pytest.mark.parametrize(
    "text",
    [
        "épochs: 3".encode("latin-1"),
        b"\xff\xfe\x00",
        b"network: site\nseed: 2026-02-31\n",
        b"seed: 2026-13-01 25:61:00\n",
        b"settings: " + b"[" * 20000,
        b"settings: " + b"{a: " * 5000,
    ],
    ids=["latin", "utf-16", "date", "time", "lists", "mappings"],
)
def test_training_files_that_are_no_yaml(tmp_path, text):
    path = tmp_path / "training.yaml"
    path.write_bytes(text)
    with pytest.raises(TrainingError, match="not valid YAML"):
        read_config(path)


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay", "clip", "positions_noise"])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_training_asks_for_finite_numbers(name, value):
    with pytest.raises(TrainingError, match=f"{name}.*finite"):
        read_config("small", {name: value})
    for path in ("settings.cutoff", "loss.w1"):
        with pytest.raises(TrainingError):
            read_config("small", {path: value})


@pytest.mark.parametrize("depth", [500, 2000, 200_000])
def test_weights_with_a_deeply_nested_header(tmp_path, depth):
    header = json.dumps({"format": "ase-e3dos-weights/1"})[:-1] + ', "settings": '
    header += '{"a":' * depth + "1" + "}" * depth + "}"
    path = tmp_path / "deep.safetensors"
    save_file({"0.a": np.zeros(1, dtype=np.float32)}, path, metadata={"ase_e3dos": header})
    for read in (read_header, load_weights):
        with pytest.raises(WeightsError):
            read(path)
