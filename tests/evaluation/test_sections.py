from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from small_data import fold_configs
from typer.testing import CliRunner

from ase_e3dos import predict
from ase_e3dos.analysis.descriptors import describe
from ase_e3dos.cli import build_app
from ase_e3dos.data.labelled_set import read_labelled
from ase_e3dos.errors import DataError, OutputError, TrainingError
from ase_e3dos.evaluation.band_edges import band_edges
from ase_e3dos.evaluation.coverage import coverage, rank_attainable
from ase_e3dos.evaluation.figures import learning_curves, read_history, write_figures
from ase_e3dos.evaluation.predictions import Predictions, evaluate, predictions
from ase_e3dos.evaluation.reference import reference_spectra
from ase_e3dos.evaluation.sections import with_sections
from ase_e3dos.evaluation.site_response import site_errors, strain_response
from ase_e3dos.evaluation.stability import roc_area, stability_errors
from ase_e3dos.evaluation.thermal_errors import thermal_errors
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.spectrum.uncertainty import Calibration
from ase_e3dos.training.calibration import (
    calibrate,
    fit_calibration,
    transferred,
)
from ase_e3dos.training.config import TrainingConfig
from ase_e3dos.training.ensemble import join_members, train_ensemble
from ase_e3dos.training.run import load_part
from ase_e3dos.training.selection import left_out

GRID = np.arange(-395.0, 4400.0, 10.0)


def perfect(labelled):
    """Predictions that are the site labels themselves."""
    spectra = [
        PhononSpectrum(GRID, None, np.asarray(b), crystal=c)
        for b, c in zip(labelled.bins, labelled.crystals, strict=True)
    ]
    return Predictions("perfect", labelled, spectra)


def test_reference_reproduces_the_columns_of_the_file(real_data):
    """The published spectra give back the published C_V, S, F and U."""
    data = read_labelled(real_data / "dfpt_petretto.parquet").split("valid").subset(range(40))
    errors = thermal_errors(Predictions("reference", data, reference_spectra(data)))
    assert errors["n"] > 25
    assert errors["Cv_atom"] < 0.005
    assert errors["S_atom"] < 0.05
    assert errors["F_atom"] < 0.01
    assert errors["U_atom"] < 0.005


def test_reference_needs_whole_spectra(data_dir):
    with pytest.raises(DataError, match="need whole spectra"):
        reference_spectra(read_labelled(data_dir / "sampled.parquet"))


def test_band_edges_of_two_boxes(data_dir):
    crystal = read_labelled(data_dir / "raw.parquet").crystals[0]
    x = np.arange(0.0, 1000.0, 2.0)
    density = np.where((x > 50) & (x < 200) | (x > 400) & (x < 500), 1.0, 0.0)
    two = PhononSpectrum(x, density, crystal=crystal)
    one = PhononSpectrum(x, np.where(x < 300, 1.0, 0.0), crystal=crystal)
    edges = band_edges([two, one])
    assert edges["largest_gap"] == pytest.approx([200, 0], abs=15)
    assert edges["upper_edge"] == pytest.approx([497.5, 297], abs=3)
    assert 400 < edges["last_peak"][0] < 500


def test_what_is_judged_of_a_prediction_is_what_it_is_described_by():
    (spectrum,) = predict([bulk("NaCl", "rocksalt", a=5.64)])
    described = describe(spectrum)
    for name, values in band_edges([spectrum]).items():
        assert values[0] == pytest.approx(described[name], abs=0.5), name


def test_roc_area():
    assert roc_area([0.1, 0.2, 0.8, 0.9], [False, False, True, True]) == 1
    assert roc_area([0.1, 0.9, 0.1, 0.9], [False, False, True, True]) == 0.5
    assert roc_area([1, 1, 1], [True, False, False]) == 0.5


def test_stability_counts(data_dir):
    data = read_labelled(data_dir / "raw.parquet").subset([0, 1, 2, 3])
    raw = []
    for k, (start, step, values) in enumerate(data.raw):
        values = np.concatenate([np.zeros(100), values])
        values[40:60] = 0.02 if k < 2 else 0.0
        raw.append((start - 100, step, values))
    data = replace(data, raw=raw)
    reference = reference_spectra(data)
    swapped = [reference[0], reference[2], reference[2], reference[1]]
    section = stability_errors(Predictions("m", data, swapped))
    assert section["n_unstable"] == 2
    assert section["precision"] == 0.5
    assert section["recall"] == 0.5


def test_site_measures_of_a_perfect_and_of_an_equal_model(data_dir):
    data = read_labelled(data_dir / "sites.parquet")
    data = data.subset([i for i, c in enumerate(data.crystals) if c.n_sites > 1])
    found = perfect(data)
    section = site_errors(found)
    assert section["WD_site"] == pytest.approx(0, abs=1e-3)
    assert section["WD_equal"] == pytest.approx(section["WD_equal_reference"], rel=1e-4)
    assert section["WD_equal"] > 10
    equal = [
        PhononSpectrum(
            GRID, None, np.repeat(s.site_density.mean(0)[None], s.crystal.n_sites, 0),
            crystal=s.crystal,
        )
        for s in found.spectra
    ]  # fmt: skip
    assert site_errors(Predictions("equal", data, equal))["ratio"] == pytest.approx(1, rel=1e-3)


def test_metals_of_one_atom_leave_the_ratio_of_sites_alone(data_dir):
    data = read_labelled(data_dir / "sites.parquet")
    several = [i for i, c in enumerate(data.crystals) if c.n_sites > 1]
    single = [i for i, c in enumerate(data.crystals) if c.n_sites == 1]
    assert single
    found = perfect(data)
    moved = [
        PhononSpectrum(GRID, None, np.roll(s.site_density, 2, axis=1), crystal=s.crystal)
        for s in found.spectra
    ]

    def section(chosen):
        return site_errors(Predictions("m", data.subset(chosen), [moved[i] for i in chosen]))

    assert "ratio" not in section(single)
    assert section(single)["WD_site"] == pytest.approx(20, rel=1e-3)
    assert section(several)["ratio"] < 2
    assert section(several + single)["ratio"] == pytest.approx(section(several)["ratio"])


def test_strain_response(data_dir):
    data = read_labelled(data_dir / "sites.parquet")
    response = strain_response(perfect(data))
    assert len(response.predicted) == len(data) // 2
    assert (response.strain > 0).all()
    assert (response.reference < 0).all()  # these spectra soften on expansion
    summary = response.summary()
    assert summary["correlation"] == pytest.approx(1, abs=1e-4)
    assert summary["slope"] == pytest.approx(1, abs=2e-2)
    assert summary["sign"] == 1


def ensemble_of(labelled, rng, size=0.04, members=6, scatter=1.0):
    """Members that scatter about their mean `scatter` times as far as that is from the truth."""
    spectra = []
    for reference in reference_spectra(labelled):
        scale = size * rng.uniform(0.3, 2.0)
        shifts = rng.normal(0, scale) + scatter * rng.normal(0, scale, members)
        x = reference.wavenumbers
        rows = [np.interp(x / np.exp(s), x, reference.density, 0, 0) for s in shifts]
        spectra.append(PhononSpectrum(x, np.mean(rows, 0), crystal=reference.crystal, members=rows))
    return spectra


def many(data_dir, n=160):
    data = read_labelled(data_dir / "raw.parquet")
    return data.subset([i % len(data) for i in range(n)])


def test_calibrated_intervals_cover(data_dir):
    rng = np.random.default_rng(1)
    data = many(data_dir)
    model = fit_calibration(ensemble_of(data, rng), reference_spectra(data))
    assert 0 < model.disagreement < 0.5
    fresh = ensemble_of(data, rng)
    for spectrum in fresh:
        spectrum.calibration = Calibration.from_dict(model.calibration.to_dict())
    rows = coverage(Predictions("m", data, fresh))
    assert {(r.quantity, r.temperature) for r in rows} == {
        *((q, t) for q in ("heat_capacity", "entropy", "free_energy") for t in (20, 100, 300, 600)),
        ("mean_wavenumber", 0.0),
    }
    for row in rows:
        assert 0.8 <= row.covered[0.9] <= 1.0, row.quantity
        assert row.covered[0.5] < row.covered[0.95]
        assert row.width > 0
        # Errors here are draws of what the widths say: they rank as well as such widths can.
        assert row.rank_correlation == pytest.approx(row.rank_attainable, abs=0.25)
        assert row.rank_correlation > 0.2


def test_widths_rank_errors_as_far_as_they_differ():
    assert rank_attainable(np.logspace(0, 30, 50)) > 0.99
    assert abs(rank_attainable(np.linspace(1.0, 1.001, 50))) < 0.05


def test_an_error_model_serves_another_ensemble(data_dir):
    """Members that agree four times better make the same error: intervals stay as wide."""
    rng = np.random.default_rng(2)
    data = many(data_dir)
    first, second = (ensemble_of(data, rng, scatter=scatter) for scatter in (1.0, 0.25))
    model = fit_calibration(first, reference_spectra(data))

    def rows(calibration):
        fresh = ensemble_of(data, rng, scatter=0.25)
        for spectrum in fresh:
            spectrum.calibration = calibration
        return coverage(Predictions("m", data, fresh))

    too_narrow = rows(model.calibration)
    moved = transferred(model, first, second)
    assert moved.disagreement < 0.5 * model.disagreement
    for narrow, row in zip(too_narrow, rows(moved.calibration), strict=True):
        assert narrow.covered[0.9] < 0.85
        assert 0.83 <= row.covered[0.9] <= 0.985, row.quantity


def test_the_error_model_of_densities_is_per_atom(data_dir):
    """Cells of many sites do not set the width for all: their densities count per atom."""
    data = many(data_dir, 40)
    pairs = ensemble_of(data, np.random.default_rng(3)), reference_spectra(data)
    cells, atoms = (
        fit_calibration(*[[view(s) for s in spectra] for spectra in pairs]).calibration
        for view in (PhononSpectrum.per_cell, PhononSpectrum.per_atom)
    )
    assert cells.spreads["density"] == atoms.spreads["density"]


def test_calibration_needs_members(data_dir):
    reference = reference_spectra(many(data_dir, 12))
    with pytest.raises(TrainingError, match="no ensemble"):
        fit_calibration(reference, reference)


def test_cross_validated_calibration_reaches_the_weights(data_dir, tiny_site, tmp_path):
    config = TrainingConfig.model_validate(tiny_site | {"epochs": 1, "steps_per_epoch": 1})
    config.data[0] = config.data[0].model_copy(update={"split": None})
    folds = fold_configs(config, 2)
    weights = [train_ensemble(f, 2, data_dir, tmp_path / str(k)) for k, f in enumerate(folds)]
    found = []
    for path, fold in zip(weights, folds, strict=True):
        held_out = left_out(load_part(fold.data[0], data_dir), fold.data[0])
        found.append(predictions(Predictor(path, "cpu"), held_out))
    names = [i for fold in found for i in fold.labelled.ids]
    assert sorted(names) == sorted(read_labelled(data_dir / "raw.parquet").ids)
    model = calibrate(found, source="test")
    path = join_members(
        weights, tmp_path / "joined.safetensors",
        calibration=model.calibration, disagreement=model.disagreement,
    )  # fmt: skip
    result = with_sections(evaluate(path, data_dir / "raw.parquet", "all"))
    assert "interval heat_capacity 300 K" in result.sections
    low, high = result.predictions.spectra[0].interval("entropy", 0.5)
    assert low < high
    (written,) = write_figures(result.predictions, tmp_path / "figures")
    assert written.name.endswith("-coverage.png")
    assert written.stat().st_size > 5000
    history = {"a": read_history(tmp_path / "0" / "member-0")}
    learning_curves(history, tmp_path / "curves.png")
    assert (tmp_path / "curves.png").stat().st_size > 1000
    with pytest.raises(OutputError, match=r"curves\.xyz: the name of a figure.*\.png"):
        learning_curves(history, tmp_path / "curves.xyz")
    with (tmp_path / "0" / "member-0" / "history.jsonl").open("a") as file:
        file.write("{]\n")
    with pytest.raises(DataError, match="damaged"):
        read_history(tmp_path / "0" / "member-0")


def test_command_on_site_labels_with_figures(data_dir, tiny_site, tmp_path):
    config = TrainingConfig.model_validate(tiny_site | {"epochs": 1})
    path = train_ensemble(config, 1, data_dir, tmp_path)
    result = CliRunner().invoke(
        build_app(),
        ["evaluate", "-m", str(path), "--data", str(data_dir / "sites.parquet"), "--split", "all",
         "--source", "mlip", "--figures", str(tmp_path / "f")],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "correlation" in result.output
    assert "WD_site" in result.output
    assert list((tmp_path / "f").glob("*-strain.png"))
