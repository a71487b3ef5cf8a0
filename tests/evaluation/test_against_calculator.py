"""`e3dos evaluate --against-calculator`: any structures, judged by a potential."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ase.build import bulk

from ase_e3dos import reference_spectrum
from ase_e3dos.structures import read


def test_errors_and_coverage_against_emt(default_model: str, run_cli, tmp_path: Path) -> None:
    """The references are those of `reference_spectrum`; a second run calculates nothing."""
    folder, data = tmp_path / "metals", tmp_path / "reference.parquet"
    folder.mkdir()
    for symbol in ("Cu", "Ag", "Au", "Si"):
        bulk(symbol).write(folder / f"{symbol}.vasp", format="vasp")
    arguments = ("evaluate", folder, "--against-calculator", "emt", "--data", data, "--json")
    code, told, said = run_cli(*arguments)
    assert code == 0, said
    assert "3 crystals calculated with emt; 1 failed" in said
    (found,) = json.loads(told)
    assert found["errors"]["n"] == 3
    from ase_e3dos.evaluation.predictions import evaluate

    predictions = evaluate("default", data, "all").predictions
    known = [reference_spectrum(c, "emt") for c in predictions.labelled.crystals]
    errors = [
        abs(s.mean_wavenumber - k.mean_wavenumber)
        for s, k in zip(predictions.spectra, known, strict=True)
    ]
    assert found["errors"]["wbar"] == pytest.approx(sum(errors) / 3, rel=1e-3)
    written = data.read_bytes()
    assert run_cli(*arguments)[0] == 0
    assert data.read_bytes() == written
    assert len(list(read(folder))) == 4
    code, _, said = run_cli("evaluate", "--against-calculator", "emt", "--data", data)
    assert code == 2
    assert "go together" in said
