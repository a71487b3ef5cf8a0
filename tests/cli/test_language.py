"""What all commands have in common: options, refusals, and any standard output."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
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


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nan", "not a number"),
        ("inf", "not finite"),
        ("-5", "-5 K is negative"),
        ("1e7", "beyond any crystal.*1e.06 K"),
        ("nan:300:10", "finite"),
        ("0:10:0", "step 0 "),
        ("5:1:1", "ends at 1 K"),
        ("0:1000:0.001", "1,000,000 temperatures.*100,000"),
        ("warm", "START:STOP:STEP"),
    ],
)
def test_the_limit_that_a_temperature_passes_is_named(text: str, why: str) -> None:
    with pytest.raises(E3DOSError, match=f"^--temperature {text}: .*{why}"):
        kelvin([text])


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
        ["predict", "-o", "{}/x.csv"],
        ["report", "--plot", "{}/x.png"],
        ["predict", "--plot", "{}/none/x.png"],
        ["compare", "{}/gone.csv", "--plot", "{}/x.docx"],
        ["compare", "{}/gone.csv", "-o", "{}/salt.cif"],
        ["phases", "{}/gone.cif", "-o", "{}/x.txt"],
        ["isotopes", "--mass", "Na=22", "-o", "{}/none/x.csv"],
        ["evaluate", "--data", "{}/salt.cif", "-o", "{}/x.yaml"],
        ["report", "-o", "{}/x.txt"],
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
    given = [] if command == "evaluate" else [salt]
    code, out, err = run_cli(command, *given, *rest)
    assert (code, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith(("error: -o ", "error: --plot "))


@pytest.mark.parametrize(
    "command",
    [
        ("predict", "salt.cif", "--fmax", "0.1"),
        ("label", "salt.cif", "-o", "labels.parquet", "--fmax", "0.1"),
        ("refine", "screened", "-c", "emt", "--relax", "none", "--fmax", "0.1"),
    ],
)
def test_a_force_without_a_relaxation_is_refused(
    command: tuple[str, ...], run_cli: Run, salt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(salt.parent)
    code, _, said = run_cli(*command)
    assert code == 2
    assert "--fmax ends a relaxation" in said
    with pytest.raises(E3DOSError, match="nothing is relaxed"):
        predict(salt, fmax=0.1)


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


def test_other_tables_hold_what_json_says(
    run_cli: Run, default_model: str, salt: Path, tmp_path: Path
) -> None:
    """`isotopes`, `phases` and `compare`; an input is never overwritten."""
    file = tmp_path / "t.json"
    code, out, err = run_cli("isotopes", salt, "--mass", "Na=20", "-T", "50", "--json", "-o", file)
    assert code == 0, err
    rows = {row["quantity"]: row for row in json.loads(file.read_text())}
    heat = rows["C_V (J/(K mol))"]
    assert heat["temperature_K"] == 50
    assert [heat["changed"]] == json.loads(out)["changed"]["C_V (J/(K mol))"]
    assert rows["average frequency (cm^-1)"]["temperature_K"] is None

    other = tmp_path / "dense.cif"
    write(other, bulk("NaCl", "cesiumchloride", a=3.3))
    arguments = ("phases", salt, other, "-T", "100:300:100", "--json", "-o", file)
    code, out, err = run_cli(*arguments)
    assert code == 0, err
    rows = json.loads(file.read_text())
    assert [(r["phase"], r["temperature_K"]) for r in rows[2:4]] == [("salt", 300), ("dense", 100)]
    found = json.loads(out)
    assert rows[3]["half_width_kJ_per_mol"] == found["half_width"][1][0]
    assert [r["stable"] for r in rows[:3]] == [name == "salt" for name in found["stable"]]

    measured = tmp_path / "measured.json"
    measured.write_text("# meV\n" + "".join(f"{e} {5 - abs(e - 15) / 4}\n" for e in range(1, 30)))
    code, _, err = run_cli("compare", salt, measured, "-o", file)
    assert code == 0, err
    rows = json.loads(file.read_text())
    assert len(rows) == 29
    areas = [sum(r[f"{n}_states_per_THz"] for r in rows) for n in ("measured", "predicted")]
    assert areas[0] == pytest.approx(areas[1], rel=0.05)
    code, _, err = run_cli("compare", salt, measured, "-o", measured)
    assert (code, "that is the input" in err) == (2, True)


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


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_is_no_traceback(tmp_path: Path, times: int) -> None:
    """In the middle of a command: as soon as PyTorch is loaded, with far too much to predict."""
    write(tmp_path / "many.extxyz", [bulk("Cu", a=3.6 + k / 1e6) for k in range(20_000)])
    script = "from ase_e3dos.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "predict", tmp_path / "many.extxyz", "--model", "paper"],
        env=os.environ | {"PYTHONPATH": str(Path(ase_e3dos.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Whoever runs the tests in the background may have them ignore it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 128 + signal.SIGINT
    assert "Traceback" not in err
    assert out == ""


STUBBORN = """
import time
import typer
from ase_e3dos import cli

app = typer.Typer()

@app.command()
def stubborn() -> None:
    for state in ("working", "ending"):
        try:
            print(state, flush=True)
            time.sleep(600)
        except KeyboardInterrupt:
            pass
    time.sleep(600)

cli.build_app = lambda: app
cli.main()
"""


def test_the_second_ctrl_c_ends_a_command_whatever_it_is_doing() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", STUBBORN],
        env=os.environ | {"PYTHONPATH": str(Path(ase_e3dos.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert process.stdout is not None
        for state in ("working", "ending"):
            assert process.stdout.readline().strip() == state
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 128 + signal.SIGINT
    assert err == ""


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
