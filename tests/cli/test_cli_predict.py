"""`e3dos predict`, `e3dos models` and `e3dos plugins` as a user meets them."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write
from pymatgen.io.phonopy import get_ph_dos

from ase_e3dos import predict
from ase_e3dos.export.cards import with_error
from ase_e3dos.phonon_spectrum import PhononSpectrum

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("default_model")


@pytest.fixture
def salt(tmp_path: Path) -> Path:
    path = tmp_path / "salt.cif"
    write(path, bulk("NaCl", "rocksalt", a=5.64))
    return path


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.cif"
    path.write_text("data_nothing\n_cell_length_a oops\n")
    return path


@pytest.mark.parametrize("half", [3e-7, 2.4e-5, 0.0036, 0.052, 0.31, 4.2, 63.0])
def test_error_bars_keep_their_first_digit(half: float) -> None:
    number, error = (float(x) for x in with_error(2.1 * half, half).split(" ± "))
    assert error == pytest.approx(half, rel=0.35)
    assert abs(number - 2.1 * half) <= 0.5 * half


def test_table_has_the_numbers_of_predict(run_cli: Run, salt: Path) -> None:
    code, out, err = run_cli("predict", salt, "-T", 300, "-T", 77.5)
    (s,) = predict([salt])
    assert (code, err) == (0, "")
    assert "± is of ordered crystals" not in out  # as it says of mixed sites
    row = next(line for line in out.splitlines() if "NaCl" in line)
    for value in (
        s.mean_wavenumber,
        s.heat_capacity(300.0),
        s.entropy(300.0),
        s.free_energy(300.0),
    ):
        printed = [float(word) for word in re.findall(r"-?\d+(?:\.\d+)?", row)]
        assert min(abs(number - value) for number in printed) <= 0.5
    assert "77.5" in out
    for unit in ("J/(K mol)", "kJ/mol", "J/(K kg)", "cm^-1", "per mole of cells"):
        assert unit in out


def test_json_is_exact_and_alone_on_stdout(run_cli: Run, salt: Path) -> None:
    code, out, err = run_cli("predict", salt, "--json", "-T", 300, "-T", 1000, "--per", "atom")
    assert (code, err) == (0, "")
    content = json.loads(out)
    (row,) = content["structures"]
    (s,) = predict([salt])
    atom = s.per_atom()
    assert (row["formula"], row["n_sites"], row["model"]) == ("NaCl", 2, "default")
    assert [t["temperature"] for t in row["thermal"]] == [300.0, 1000.0]
    assert row["thermal"][1]["entropy"] == pytest.approx(atom.entropy(1000.0))
    assert row["thermal"][0]["specific_heat"] == pytest.approx(s.specific_heat(300.0))
    np.testing.assert_allclose(row["density"], atom.density)
    assert content["per"] == "atom"


def test_one_bad_file_among_several(run_cli: Run, salt: Path, broken: Path, tmp_path: Path) -> None:
    copper = tmp_path / "POSCAR"
    write(copper, bulk("Cu"), format="vasp")
    missing = tmp_path / "missing.cif"
    (tmp_path / "empty").mkdir()
    code, out, err = run_cli("predict", salt, broken, missing, tmp_path / "empty", copper)
    assert code == 2
    assert "NaCl" in out
    assert "Cu" in out
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 3
    for line, name in zip(lines, ("broken.cif", "missing.cif", "no structure file"), strict=True):
        assert name in line
    assert "Traceback" not in out + err
    code, out, _ = run_cli("predict", salt, broken, "--json")
    first, second = json.loads(out)["structures"]
    assert code == 2
    assert first["formula"] == "NaCl"
    assert second["file"].endswith("broken.cif")
    assert second["error"]["type"] == "UnreadableFileError"


def test_several_structures_of_one_file(run_cli: Run, tmp_path: Path) -> None:
    path = tmp_path / "both.extxyz"
    write(path, [bulk("Cu"), bulk("Si")])
    code, out, _ = run_cli("predict", path, "--json", "-o", tmp_path / "out")
    assert code == 0
    names = [s["name"] for s in json.loads(out)["structures"]]
    assert names == [f"{path}[0]", f"{path}[1]"]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["both-0", "both-1"]


def test_files_are_read_back_by_their_owners(run_cli: Run, salt: Path, tmp_path: Path) -> None:
    out = tmp_path / "results" / "deep"
    assert run_cli("predict", salt, salt, "-o", out)[0] == 0
    assert sorted(p.name for p in out.iterdir()) == ["salt", "salt-2"]
    (s,) = predict([salt])
    with (out / "salt" / "spectrum.json").open() as stream:
        again = PhononSpectrum.from_dict(json.load(stream))
    np.testing.assert_allclose(again.density, s.density, atol=1e-4 * s.density.max())
    theirs = get_ph_dos(str(out / "salt" / "total_dos.dat"))
    assert theirs.cv(300) == pytest.approx(s.heat_capacity(300.0), rel=0.02)
    from phonopy.file_IO import read_thermal_properties_yaml

    temperatures, heat, entropy, free_energy, *_ = read_thermal_properties_yaml(
        [str(out / "salt" / "thermal_properties.yaml")]
    )
    at = list(temperatures).index(300.0)
    assert heat[at][0] == pytest.approx(s.heat_capacity(300.0), rel=0.01)
    assert entropy[at][0] == pytest.approx(s.entropy(300.0), rel=0.01)
    assert free_energy[at][0] == pytest.approx(s.free_energy(300.0), abs=0.05)
    for given, (first, last, n) in {
        ("-T", "100:400:100"): (100, 400, 4),
        ("-T", 10, "-T", 100, "-T", 300): (0, 1000, 101),  # no even steps
        ("-T", 77, "-T", 300): (0, 1000, 101),  # nor anything to take derivatives of
    }.items():
        assert run_cli("predict", salt, "-o", out, *given)[0] == 0
        at = read_thermal_properties_yaml([str(out / "salt" / "thermal_properties.yaml")])[0]
        assert (at[0], at[-1], len(at)) == (first, last, n)


def test_tables_say_what_they_are_per(run_cli: Run, salt: Path, tmp_path: Path) -> None:
    """And follow --per, that of each crystal and that of all."""
    per_atom = predict([salt])[0].per_atom()
    assert run_cli("predict", salt, "-o", tmp_path / "o", "--csv", "--per", "atom")[0] == 0
    for file in (tmp_path / "o" / "thermal.csv", tmp_path / "o" / "salt" / "thermal.csv"):
        with file.open(newline="") as stream:
            (row,) = csv.DictReader(stream)
        assert (row["crystal"], row["n_sites"], row["per"]) == ("NaCl", "2", "atom")
        heat = float(row["heat_capacity_J_per_K_mol"])
        assert heat == pytest.approx(float(per_atom.heat_capacity(300.0)), rel=1e-6)


@pytest.mark.parametrize(
    "name", ["..cif", "....cif", "a b;$(touch x).cif", "-rf.cif", "ä/é.cif", "...hidden.cif"]
)
def test_names_of_files_stay_inside_the_folder(run_cli: Run, tmp_path: Path, name: str) -> None:
    path = tmp_path / "in" / name
    path.parent.mkdir(parents=True)
    write(path, bulk("Cu"), format="cif")
    code, _, err = run_cli("predict", "-o", tmp_path / "out", "--", path)
    assert code == 0, err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in", "out"]
    (folder,) = (tmp_path / "out").iterdir()
    assert folder.is_dir()
    assert not folder.name.startswith(".")
    assert (folder / "total_dos.dat").exists()


@pytest.mark.parametrize("units", ["THz", "cm-1", "meV"])
def test_plot(run_cli: Run, salt: Path, tmp_path: Path, units: str) -> None:
    figure = tmp_path / "dos.svg"
    assert run_cli("predict", salt, "--plot", figure, "--units", units)[0] == 0
    drawn = figure.read_text()
    assert {"THz": "THz", "cm-1": "Wavenumber", "meV": "meV"}[units] in drawn


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-T", "-5"], "kelvin"),
        (["-T", "nan"], "kelvin"),
        (["-T", "0:100"], "a range START:STOP:STEP"),
        (["-T", "100:0:10"], "ends at 0 K, before it begins at 100 K"),
        (["--model", "papre"], "no installed plug-in offers the model 'papre'"),
        (["--device", "abacus"], "abacus"),
        (["--plot", "x.docx"], "a figure's name ends in"),
        (["--plot", "no/such/folder/x.png"], "no folder"),
        (["--encoder", "nothing"], "nothing"),
        (["-o", "/dev/null/results"], "cannot be written"),
        (["--plot", "x.png", "--style", "nope"], "no style 'nope'"),
        (["--plot", "x.html", "--style", "phonopy"], "'publication' (light) or 'dark'"),
        (["--plot", "x.html", "--layout", "grid"], "on one pair of axes"),
        (["--plot", "x.png", "--with", "nofile.dat"], "nofile.dat: cannot be read"),
        (["--plot", "x.docx"], ".html"),
        (["--with", "nofile.dat"], "give --plot FILE"),
        (
            ["--stacked", "--units", "meV", "--energy-units", "eV"],
            "--units, --stacked, --energy-units: of a figure",
        ),
        (["--plot", "x.png", "--panels", "cv,cv"], "--panels cv,cv: names cv twice"),
        (["--plot", "x.png", "--panels", "cv", "--smoothing", "5"], "Add 'dos' to the panels"),
        (["--plot", "x.png", "--projection", "none", "--stacked"], "no parts to stack"),
    ],
)
def test_wrong_options_are_errors_without_a_traceback(
    run_cli: Run, salt: Path, arguments: list[str], message: str
) -> None:
    code, out, err = run_cli("predict", salt, *arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert message in err
    assert "Traceback" not in out + err


def test_figures_are_checked_before_any_work(
    run_cli: Run, salt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong option costs no prediction; a right one for a page is honoured."""
    table = "energy,intensity\n" + "".join(f"{k},{k * (30 - k)}\n" for k in range(1, 30))
    (tmp_path / "measured.csv").write_text(table)
    page = tmp_path / "x.html"
    options = ("--layout", "waterfall", "--style", "dark", "--smoothing", 10, "--panels", "dos,s")
    with monkeypatch.context() as patched:
        patched.setattr("ase_e3dos.cli.predict._outcomes", lambda *_: pytest.fail("predicted"))
        measured = str(tmp_path / "measured.csv")
        _, _, err = run_cli("predict", salt, "--plot", page, "--with", measured)
        assert f"--with {measured}:meV" in err
        code, _, err = run_cli("predict", salt, salt, "--plot", page, *options, "--with",
                               f"{measured}:meV")  # fmt: skip
        assert code == 2
        assert "waterfall of several" in err
        for more in (["--model", "paper"], [salt, "--layout", "overlay"]):
            code, _, err = run_cli("predict", salt, *more, "--plot", tmp_path / "x.png",
                                   "--projection", "element")  # fmt: skip
            assert code == 2
            assert "the model 'paper' does not give" in err or "told apart" in err
        _, _, err = run_cli("predict", salt, "--plot", page, "--with", f"{measured}:mev2")
        assert "'mev2' is not a unit" in err
    pytest.importorskip("plotly", reason="plotly is not installed")
    code, _, err = run_cli("predict", salt, "--plot", page, "--with", f"{measured}:meV", *options)
    assert code == 0, err
    text = page.read_text()
    assert "background:#131416" in text
    assert "S (J" in text
    assert not re.search(r'"label":"[SFU]"', text)
    assert run_cli("predict", salt, "--plot", page)[0] == 0
    assert re.findall(r'"label":"([SFU])"', page.read_text()) == ["S", "F", "U"]


def test_warnings_are_printed_without_paths_of_the_program(run_cli: Run, tmp_path: Path) -> None:
    box = bulk("Ar", "sc", a=12.0)
    path = tmp_path / "box.vasp"
    write(path, box)
    code, out, err = run_cli("predict", path)
    assert code == 0
    assert "warning:" in out
    assert "no neighbour within" in " ".join(out.split())
    assert "site-packages" not in out + err
    assert "UserWarning" not in out + err
    structures = json.loads(run_cli("predict", path, "--json")[1])["structures"]
    assert "OutOfDistributionWarning" in [w["type"] for w in structures[0]["warnings"]]


def test_models_and_plugins_are_listed(run_cli: Run) -> None:
    code, out, _ = run_cli("models", "--json")
    assert code == 0
    models = {m["name"]: m for m in json.loads(out)}
    assert models["default"]["grid"] == {"start": -395.0, "stop": 4395.0, "step": 10.0, "n": 480}
    assert models["default"]["error"] is None
    code, out, _ = run_cli("models")
    assert code == 0
    assert "default" in out
    code, out, _ = run_cli("plugins", "--json")
    content = json.loads(out)
    assert {e["name"] for e in content["encoders"]} >= {"mass_one_hot", "alloy_multi_hot"}
    assert content["plugins"][0]["status"] == "loaded"
    assert "builtin" in run_cli("plugins")[1]


def test_example_crystals_are_all_predicted(run_cli: Run, crystals_folder: Path) -> None:
    files = sorted(p for p in crystals_folder.iterdir() if p.suffix in (".cif", ".vasp", ".extxyz"))
    assert len(files) >= 10
    code, out, err = run_cli("predict", *files, "--json")
    assert code == 0, err
    structures = json.loads(out)["structures"]
    assert len(structures) >= len(files)
    for s in structures:
        assert 50 < s["mean_wavenumber"] < 1000, s["name"]


def test_the_installed_command(salt: Path) -> None:
    """Once through the real script: its exit code and its streams."""
    script = Path(sys.executable).with_name("e3dos")
    if not script.exists():
        pytest.skip("the console script is not beside the interpreter")
    done = subprocess.run(
        [script, "predict", salt, "gone.cif"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "NaCl" in done.stdout
    assert done.stderr.startswith("error: gone.cif")
    assert "Traceback" not in done.stderr


def test_help_is_true_of_the_ends_of_a_range(run_cli: Run, salt: Path) -> None:
    structures = json.loads(run_cli("predict", salt, "--json", "-T", "0:1000:300")[1])["structures"]
    assert [t["temperature"] for t in structures[0]["thermal"]] == [0, 300, 600, 900]
    words = " ".join(re.sub(r"[│|]", " ", run_cli("predict", "--help")[1]).split())
    assert "with both ends" not in words
    assert "STOP if the steps meet it" in words
