"""What all commands have in common: options, refusals, and any standard output."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import write
from typer.testing import CliRunner

import ase_e3dos
from ase_e3dos import predict
from ase_e3dos.cli import build_app
from ase_e3dos.cli.options import kelvin
from ase_e3dos.errors import E3DOSError
from ase_e3dos.plugins.builtin import COMMANDS

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def salt(tmp_path: Path) -> Path:
    path = tmp_path / "salt.cif"
    write(path, bulk("NaCl", "rocksalt", a=5.64))
    return path


def test_temperatures_and_ranges() -> None:
    assert kelvin(["300", "77"]) == [300.0, 77.0]
    assert kelvin(["0:1000:250", "300"]) == [0.0, 250.0, 500.0, 750.0, 1000.0, 300.0]
    assert kelvin(["0:1:0.1"])[-1] == pytest.approx(1.0)
    assert kelvin(["0:95:10"])[-1] == 90.0
    assert kelvin(["300", "300:300:1"]) == [300.0]
    for wrong in (
        "warm",
        "1:2",
        "5:1:1",
        "0:10:0",
        "0:10:-1",
        "0:1e9:1e-9",
        "-1",
        "inf",
        "0:inf:5",
    ):
        with pytest.raises(E3DOSError):
            kelvin([wrong])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_options_mean_the_same_in_every_command(name: str) -> None:
    """One spelling and one default: -T with 300 K, -o, --units, --device, --model, --json."""
    import typer

    group = typer.main.get_command(build_app())
    found = COMMANDS[name].load()
    if isinstance(found, typer.Typer):
        commands = list(typer.main.get_command(found).commands.values())
    else:
        app = typer.Typer(add_completion=False)
        app.command(name)(found)
        commands = [typer.main.get_command(app)]
    spelling = {"temperature": ["--temperature", "-T"], "output": ["--output", "-o"]}
    spelling |= {n: [f"--{n}"] for n in ("units", "device", "encoder", "plot", "per")}
    spelling |= {"as_json": ["--json"]}
    for command in commands:
        for parameter in command.params:
            assert parameter.name not in ("out", "unit", "t_max", "cif"), parameter.name
            if parameter.name in spelling:
                assert list(parameter.opts) == spelling[parameter.name]
            if parameter.name == "temperature" and name not in ("phases", "report"):
                assert parameter.default == ["300"]
                shown = CliRunner().invoke(build_app(), [name, "--help"], env={"COLUMNS": "200"})
                assert "[default: 300]" in shown.output
    assert name in group.list_commands(None)


@pytest.mark.parametrize(
    "arguments",
    [
        ["predict", "-o", "/dev/null/x"],
        ["predict", "--plot", "{}/none/x.png"],
        ["compare", "{}/gone.csv", "--plot", "{}/x.docx"],
        ["adp", "-o", "{}/x.xlsx"],
        ["isotopes", "--mass", "Na=22", "--plot", "/proc/x.png"],
        ["describe", "-o", "{}/none/x.csv"],
        ["phases", "{}/gone.cif", "--plot", "{}"],
        ["alloy", "{}/gone.cif", "-o", "/dev/null/x"],
        ["screen", "-o", "/dev/null/x"],
        ["label", "-o", "{}/x.csv"],
    ],
)
def test_outputs_are_refused_before_any_work(
    run_cli: Run, salt: Path, tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is the missing second file looked at, nor the model: the option is the complaint."""
    command, *rest = (a.format(tmp_path) for a in arguments)
    code, out, err = run_cli(command, salt, *rest)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith(("error: -o ", "error: --plot "))


def test_a_folder_is_predicted(run_cli: Run, default_model: str, tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    write(tmp_path / "in" / "a.cif", bulk("Cu"))
    write(tmp_path / "in" / "deep" / "b.extxyz", [bulk("Si"), bulk("Ge")])
    code, out, err = run_cli("predict", tmp_path / "in", "--json", "-o", tmp_path / "out")
    assert code == 0, err
    rows = json.loads(out)["structures"]
    assert [row["formula"] for row in rows] == ["Cu", "Si", "Ge"]
    assert [Path(row["file"]).name[:3] for row in rows] == ["a.c", "b.e", "b.e"]
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_tables_are_files_of_three_kinds(
    run_cli: Run, default_model: str, salt: Path, tmp_path: Path
) -> None:
    import pyarrow.parquet as pq

    for ending in ("csv", "json", "parquet"):
        code, _, err = run_cli("adp", salt, "-T", "100:300:200", "-o", tmp_path / f"t.{ending}")
        assert code == 0, err
    (spectrum,) = predict(salt, model=default_model)
    expected = spectrum.u_iso([100.0, 300.0]).ravel()
    with (tmp_path / "t.csv").open() as stream:
        texts = [row["u_iso"] for row in csv.DictReader(stream)]
    np.testing.assert_allclose([float(t) for t in texts], expected, rtol=1e-4)
    for rows in (
        json.loads((tmp_path / "t.json").read_text()),
        pq.read_table(tmp_path / "t.parquet").to_pylist(),
    ):
        np.testing.assert_allclose([row["u_iso"] for row in rows], expected, rtol=1e-4)
        assert [row["temperature_K"] for row in rows] == [100.0, 300.0] * 2


def start(*arguments: object, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "from ase_e3dos.cli import main; main()", *map(str, arguments)]
    path = {"PYTHONPATH": str(Path(ase_e3dos.__file__).parents[1])}
    options["env"] = os.environ | path | options.get("env", {})
    return subprocess.run(command, check=False, stderr=subprocess.PIPE, **options)


def test_ascii_and_closed_and_full_output(default_model: str, salt: Path) -> None:
    """Terminals of all ages, `>&-`, `| head` and a full disk: no traceback, no lost message."""
    old = {"PYTHONIOENCODING": "ascii"}
    done = start("adp", salt, "--model", default_model, env=old, stdout=subprocess.PIPE)
    assert done.returncode == 0, done.stderr
    assert b"A^2" in done.stdout
    assert done.stdout.isascii()
    assert start("--help", env=old, stdout=subprocess.PIPE).stdout.isascii()

    read, write_end = os.pipe()
    os.close(read)
    with os.fdopen(write_end, "wb") as gone:
        done = start("models", "--json", stdout=gone)
    assert done.stderr == b""
    with Path("/dev/full").open("wb") as full:
        done = start("models", "--json", stdout=full)
    assert done.returncode == 2
    assert b"error: what was to be written has no room" in done.stderr
    assert b"Traceback" not in done.stderr
    closed = start("models", preexec_fn=lambda: os.close(1))
    assert (closed.returncode, closed.stderr) == (0, b"")


def test_shells_complete_commands_and_options() -> None:
    result = CliRunner().invoke(
        build_app(),
        [],
        prog_name="e3dos",
        env={"_E3DOS_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "e3dos pr"},
    )
    assert "predict" in result.output
    result = CliRunner().invoke(
        build_app(),
        [],
        prog_name="e3dos",
        env={"_E3DOS_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "e3dos predict --temp"},
    )
    assert "--temperature" in result.output
