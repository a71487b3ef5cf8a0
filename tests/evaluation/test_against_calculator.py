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


@pytest.mark.parametrize("command", ["evaluate", "label"])
def test_a_path_that_does_not_exist_stops_the_command_before_any_work(
    run_cli, tmp_path: Path, command: str
) -> None:
    data = tmp_path / "reference.parquet"
    bulk("Cu").write(tmp_path / "Cu.vasp", format="vasp")
    structures = (tmp_path / "Cu.vasp", tmp_path / "typo.vasp")
    with_calculator = {
        "evaluate": ("--against-calculator", "emt", "--data", data),
        "label": ("--calculator", "emt", "-o", data),
    }
    code, _, said = run_cli(command, *structures, *with_calculator[command])
    assert code == 2
    assert "typo.vasp" in said
    assert not list(tmp_path.glob("reference*"))


def test_spectra_of_another_calculator_are_not_replaced(run_cli, tmp_path: Path) -> None:
    """They may have cost days. `label` replaces them, as it always did, and says so."""
    data, copper = tmp_path / "reference.parquet", tmp_path / "Cu.vasp"
    bulk("Cu").write(copper, format="vasp")
    label = ("label", copper, "-o", data, "--relax", "positions", "--displacement", "0.01")
    code, told, said = run_cli(*label, "--calculator", "emt")
    assert code == 0, said
    written = data.read_bytes()
    other = "ase.calculators.morse:MorsePotential"
    against = ("evaluate", copper, "--data", data, "--against-calculator")
    code, _, said = run_cli(*against, other)
    assert code == 2
    assert "another file" in said
    assert "morse" in said.lower()
    assert data.read_bytes() == written
    code, told, said = run_cli(*label, "--calculator", other)
    assert "1 labels of reference.parquet give way" in told + said
