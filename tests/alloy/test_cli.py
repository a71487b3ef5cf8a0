from __future__ import annotations

import csv
import json

import pytest
from ase.build import bulk
from typer.testing import CliRunner

from ase_e3dos.cli import build_app
from ase_e3dos.errors import AlloyError, E3DOSError
from ase_e3dos.structures.crystal import Crystal

from .conftest import CRYSTALS, cu3au


@pytest.fixture
def files(tmp_path, default_model) -> list[str]:
    paths = []
    for name, atoms in (("Cu", bulk("Cu")), ("Au", bulk("Au")), ("Cu3Au", cu3au())):
        paths.append(str(tmp_path / f"{name}.vasp"))
        atoms.write(paths[-1], direct=True)
    return paths


def run(*arguments: str) -> str:
    result = CliRunner().invoke(build_app(), ["alloy", *arguments, "--device", "cpu"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_table_figure_and_files(files, tmp_path):
    figure, out = tmp_path / "alloy.png", tmp_path / "out"
    text = run(*files[:2], "-n", "3", "--compare", "linear", "--compare", files[2],
               "--plot", str(figure), "-o", str(out), "-T", "400")  # fmt: skip
    assert "Cu0.5Au0.5" in text
    assert "linear mixture" in text
    assert "400" in text
    assert figure.stat().st_size > 10_000
    with (out / "table.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["method"] for row in rows].count("prediction") == 3
    assert float(rows[1]["fraction_Au"]) == 0.5
    assert 0 < float(rows[-1]["distance_cm-1"]) < 100
    assert {float(row["temperature_K"]) for row in rows} == {400.0}
    again = Crystal.from_any(out / "Cu0.5Au0.5_0.5000.cif")
    assert again.formula == "Cu0.5Au0.5"
    assert json.loads((out / "alloy.json").read_text())["end_members"] == ["Cu", "Au"]


@pytest.mark.parametrize("calculator", ["emt", "ase.calculators.emt:EMT"])
def test_json_with_the_virtual_crystal(files, calculator):
    text = run(*files[:2], "--fractions", "0.25", "--compare", "vca", "--calculator", calculator,
               "--json")  # fmt: skip
    entries = json.loads(text)["entries"]
    methods = [e["method"].lower() for e in entries]
    assert methods == ["prediction", "virtual crystal (emt)"]
    assert entries[0]["fractions"] == [0.75, 0.25]
    assert entries[1]["distance"] < 40


def test_three_end_members_and_given_fractions(files, tmp_path):
    path = str(tmp_path / "Ag.vasp")
    bulk("Ag").write(path)
    entries = json.loads(run(*files[:2], path, "-n", "3", "--json"))["entries"]
    assert len(entries) == 6
    text = run(*files[:2], path, "--fractions", "0.2,0.3,0.5")
    assert "Cu0.2Ag0.5Au0.3" in text or "Ag0.5" in text


def test_one_disordered_structure(default_model):
    text = run(str(CRYSTALS / "Si0.5Ge0.5.cif"))
    assert "± is of ordered crystals" in text
    assert "Si0.5Ge0.5" in text


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["--compare", "vca"], "calculator"),
        (["--compare", "nowhere.cif"], "neither"),
        (["--plot", "figure.doc"], "ends in"),
        (["--compare", "vca", "--calculator", "nonsense"], "no such calculator"),
        (["--fractions", "half"], "not numbers"),
        (["-n", "1"], "two ends"),
    ],
)
def test_mistakes_are_explained(files, arguments, match):
    with pytest.raises(E3DOSError, match=match):
        run(*files[:2], *arguments)


def test_a_single_structure_has_no_end_members(files):
    with pytest.raises(AlloyError, match="no end members"):
        run(files[2], "--compare", "linear")
    with pytest.raises(AlloyError, match="one structure"):
        run(files[2], "--fractions", "0.5")


def test_error_bars_of_one_meaning(files):
    """The linear mixture has none beside calibrated ones: its own would be another thing."""
    entries = json.loads(run(*files[:2], "-n", "3", "--compare", "linear", "--json"))["entries"]
    predictions = [e for e in entries if e["method"] == "prediction"]
    if not all(e["intervals_calibrated"] for e in predictions):
        pytest.skip("the default model is not calibrated")
    assert all(e["intervals"] for e in predictions)
    assert not any(e["intervals"] for e in entries if e["method"] == "linear mixture")
