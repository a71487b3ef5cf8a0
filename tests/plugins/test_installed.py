"""Plug-ins that pip really installs: a good one, a broken one, a rival; and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import ase_e3dos

OFFER = """
from ase_e3dos.encoders import AlloyMultiHot
from ase_e3dos.plugins import EncoderSpec, hookimpl

class Mine(AlloyMultiHot):
    name = "mine"

@hookimpl
def ase_e3dos_encoders():
    yield EncoderSpec(name="mine", factory=Mine, accepts_mixed=True)
"""
COMMANDS = """
import typer
from ase_e3dos.errors import E3DOSError
from ase_e3dos.plugins import CommandSpec, hookimpl

@hookimpl
def ase_e3dos_commands():
    yield CommandSpec(name="count", command="fake_commands:count", description="Count the files.")
    yield CommandSpec(name="many", command=many, description="Has commands of its own.")
    yield CommandSpec(name="lost", command="fake_nowhere:run", description="Is not there.")

def count(files: list[str], fail: bool = False) -> None:
    "Count the files that are named."
    if fail:
        raise E3DOSError("this went wrong.")
    print(len(files))

many = typer.Typer()

@many.command()
def first() -> None:
    print("first of many")
"""
TAKEN = """
from ase_e3dos.plugins import CommandSpec, hookimpl

@hookimpl
def ase_e3dos_commands():
    return [CommandSpec(name="{}", command=print, description="A name that is taken.")]
"""
SOURCES = {
    "broken": "import a_package_that_is_not_there\n",
    "good": OFFER,
    "rival": OFFER,
    "commands": COMMANDS,
    "counting": TAKEN.format("count"),
    "predicting": TAKEN.format("predict"),
}


def wheel(folder: Path, name: str, source: str) -> Path:
    """A distribution with one module and an entry point."""
    path = folder / f"fake_{name}-1.2-py3-none-any.whl"
    info = f"fake_{name}-1.2.dist-info"
    files = {
        f"fake_{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: fake-{name}\nVersion: 1.2\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",  # noqa: E501
        f"{info}/entry_points.txt": f"[ase_e3dos]\n{name} = fake_{name}\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """Environment of a process that has the packages."""
    folder = tmp_path_factory.mktemp("plugins")
    wheels = [str(wheel(folder, name, source)) for name, source in SOURCES.items()]
    site = folder / "site"
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True).returncode:
        pytest.skip("there is no pip in this environment")
    subprocess.run(
        [*pip, "install", "-q", "--no-index", "--no-deps", "--target", str(site), *wheels],
        check=True,
    )
    path = os.pathsep.join([str(site), str(Path(ase_e3dos.__file__).parents[1])])
    return os.environ | {"PYTHONPATH": path}


def e3dos(
    environment: dict[str, str], *arguments: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    run = "from ase_e3dos.cli import main; main()"
    command = [sys.executable, "-c", run, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == code, done.stderr
    return done


def test_list_of_plugins_says_what_is_wrong(environment):
    listed = json.loads(e3dos(environment, "plugins", "--json").stdout)
    rows = {row["distribution"]: row for row in listed["plugins"]}
    assert rows["ase-e3dos"]["status"] == "loaded"
    assert (rows["fake-good"]["status"], rows["fake-good"]["encoders"]) == ("loaded", ["mine"])
    table = e3dos(environment, "plugins").stdout
    for name, reason in (
        ("broken", "ModuleNotFoundError: No module named 'a_package_that_is_not_there'"),
        ("rival", "fake-rival offers the encoder 'mine', but fake-good offers one of this name"),
        ("counting", "fake-counting offers the command 'count', but fake-commands offers one of"),
        ("predicting", "fake-predicting offers the command 'predict', but ase-e3dos offers one"),
    ):
        row = rows[f"fake-{name}"]
        assert (row["status"], row["version"]) == ("skipped", "1.2")
        assert reason in row["error"]
        assert f"{name} is skipped: {reason}" in table
    assert "mine" in {encoder["name"] for encoder in listed["encoders"]}
    assert rows["fake-commands"]["commands"] == ["count", "many", "lost"]
    assert "count, many, lost" in table


def test_broken_plugins_do_not_stop_a_prediction(environment):
    salt = Path(__file__).parents[2] / "docs" / "crystals" / "NaCl.cif"
    done = e3dos(environment, "predict", str(salt), "--model", "paper", "--json")
    assert "NaCl" in done.stdout
    for name in ("broken", "rival"):  # said once, on the stream for messages
        assert done.stderr.count(f"'{name}' of fake-{name} 1.2 is skipped") == 1


def test_plugins_are_switched_off_by_the_environment(environment):
    quiet = environment | {"E3DOS_PLUGINS_DISABLED": "broken,fake-rival,counting,predicting"}
    done = e3dos(quiet, "plugins", "--json")
    assert "skipped" not in done.stderr
    status = [row["status"] for row in json.loads(done.stdout)["plugins"]]
    assert sorted(status)[:5] == [*4 * ["disabled"], "loaded"]
    assert "broken is disabled: by E3DOS_PLUGINS_DISABLED" in e3dos(quiet, "plugins").stdout
    alone = e3dos(environment | {"E3DOS_PLUGINS_ONLY": "nothing"}, "models")
    assert "skipped" not in alone.stderr
    assert "default" in alone.stdout


def test_commands_of_plugins_are_commands_of_ours(environment):
    listed = e3dos(environment, "--help").stdout
    assert all(word in listed for word in ("predict", "Count the files.", "Is not there."))
    assert e3dos(environment, "count", "a", "b").stdout == "2\n"
    assert "Count the files that are named." in e3dos(environment, "count", "--help").stdout
    assert e3dos(environment, "many", "first").stdout == "first of many\n"
    failed = e3dos(environment, "count", "a", "--fail", code=2)
    assert "error: this went wrong.\n" in failed.stderr
    lost = e3dos(environment, "lost", code=2).stderr
    assert "error: the command 'lost': fake_nowhere:run could not be imported" in lost
    assert "fake-commands" in lost
    assert "Did you mean 'count'" in e3dos(environment, "coumt", code=2).stderr


def test_commands_of_the_package_load_no_plugin(environment):
    done = e3dos(environment, "predict", "--help")
    assert "skipped" not in done.stderr
    assert "Predict the phonon DoS" in done.stdout
