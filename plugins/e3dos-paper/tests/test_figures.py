"""Figures 2, S7 to S10, S12 and S13."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from e3dos_paper.command_line import paper
from e3dos_paper.elements import table_places
from e3dos_paper.stability_figures import write_stability_figures
from typer.testing import CliRunner

from ase_e3dos.data.labelled_set import read_labelled
from ase_e3dos.evaluation.predictions import Predictions
from ase_e3dos.evaluation.reference import reference_spectra
from ase_e3dos.training.config import TrainingConfig
from ase_e3dos.training.run import train


def test_periodic_table_has_every_element():
    places = table_places()
    assert len(set(places.values())) == len(places) >= 103
    assert places["He"] == (0, 17)
    assert places["Hf"] == (5, 3)


def test_figures_of_each_split(data_dir, tmp_path):
    data = read_labelled(data_dir / "raw.parquet").subset([0, 1, 2])
    raw = []
    for k, (start, step, values) in enumerate(data.raw):
        longer = np.concatenate([np.zeros(100), values])
        longer[40:60] = 0.02 * k
        raw.append((start - 100, step, longer))
    data = replace(data, raw=raw)
    found = Predictions("m", data, reference_spectra(data))
    written = write_stability_figures({"train": found, "valid": found}, tmp_path)
    assert [path.name for path in written] == [
        f"m-{name}.png" for name in ("figure-s7", "figure-s8", "figure-s9", "stability")
    ]
    assert all(path.stat().st_size > 5000 for path in written)
    positive = [replace_grid(s) for s in found.spectra]
    assert write_stability_figures({"valid": Predictions("p", data, positive)}, tmp_path) == []


def replace_grid(spectrum):
    """The same spectrum on a grid that begins at zero."""
    from ase_e3dos.phonon_spectrum import PhononSpectrum

    keep = spectrum.wavenumbers >= 0
    return PhononSpectrum(
        spectrum.wavenumbers[keep], spectrum.density[keep], crystal=spectrum.crystal
    )


def test_command_draws_all_figures_of_a_model(data_dir, tiny_paper, tmp_path):
    config = TrainingConfig.model_validate(tiny_paper | {"epochs": 1})
    weights = train(config, data_dir, None).save(tmp_path / "w.safetensors")
    command = ["figures", "-m", str(weights), "--data", str(data_dir / "raw.parquet")]
    result = CliRunner().invoke(paper, [*command, "-o", str(tmp_path / "f")])
    assert result.exit_code == 0, result.output
    names = [path.name.split("-", 1)[1] for path in sorted((tmp_path / "f").iterdir())]
    assert names == [f"figure-{name}.png" for name in ("2", "s11", "s12", "s13")]
    refused = CliRunner().invoke(paper, [*command, "-o", "/dev/null/f"])
    assert "-o /dev/null/f" in str(refused.exception)
