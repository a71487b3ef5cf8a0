"""The package as installed: light imports, metadata, shipped files."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
import yaml

import ase_e3dos

PACKAGE = Path(ase_e3dos.__file__).parent
REPOSITORY = Path(__file__).resolve().parents[1]


def run(*code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *code], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    "module",
    [
        "ase_e3dos",
        "ase_e3dos.interfaces.calculator",
        "ase_e3dos.cli",
        "ase_e3dos.interfaces.ase_plugin",
        "ase_e3dos.errors",
    ],
)
def test_import_is_light(module: str) -> None:
    heavy = "{'torch', 'e3nn', 'pymatgen', 'matplotlib', 'phonopy', 'dask'}"
    done = run("-c", f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))")
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["predict", "--help"]])
def test_help_is_light(arguments: list[str]) -> None:
    code = (
        f"import sys; sys.argv = ['e3dos', *{arguments!r}]\n"
        "from ase_e3dos.cli import main\n"
        "try: main()\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "heavy = {'torch', 'e3nn', 'pymatgen', 'matplotlib', 'phonopy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = run("-c", code)
    assert done.returncode == 0, done.stderr


def cpu_seconds(code: str) -> float:
    """Least CPU time of three runs: waiting for a busy machine does not count."""
    measure = f"import time\n{code}\nprint(time.process_time())"
    return min(float(run("-c", measure).stdout) for _ in range(3))


def test_import_takes_less_than_a_third_of_a_second_more_than_ase() -> None:
    assert cpu_seconds("import ase, ase_e3dos") - cpu_seconds("import ase") < 0.3


def test_help_takes_less_than_a_second() -> None:
    code = (
        "import sys, io; sys.argv = ['e3dos', '--help']\n"
        "out, sys.stdout = sys.stdout, io.StringIO()\n"
        "from ase_e3dos.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "sys.stdout = out"
    )
    assert cpu_seconds(code) < 1.0


def test_public_names_exist_and_are_listed() -> None:
    for name in ("E3DOSPredictor", "E3DOSPhonopy", "PhononSpectrum", "predict", "Crystal"):
        assert name in ase_e3dos.__all__
        assert name in dir(ase_e3dos)
        assert getattr(ase_e3dos, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = ase_e3dos.nothing


def test_versions_agree() -> None:
    assert version("ase-e3dos") == ase_e3dos.__version__
    citation = REPOSITORY / "CITATION.cff"
    if citation.exists():
        content = yaml.safe_load(citation.read_text())
        assert content["version"] == ase_e3dos.__version__
        assert content["preferred-citation"]["doi"] == "10.1002/advs.202004214"


def test_entry_points() -> None:
    points = {(p.group, p.name): p.value for p in distribution("ase-e3dos").entry_points}
    assert points["console_scripts", "e3dos"] == "ase_e3dos.cli:main"
    assert points["ase.plugins", "ase_e3dos"] == "ase_e3dos.interfaces.ase_plugin"


def test_shipped_files() -> None:
    assert (PACKAGE / "py.typed").exists()
    files = list((PACKAGE / "models").glob("*"))
    assert {p.suffix for p in files} <= {".safetensors", ".md", ".json"}
    assert sum(p.stat().st_size for p in files if p.suffix == ".safetensors") < 25e6
    for pickled in ("*.pt", "*.pth", "*.pkl", "*.ckpt"):
        assert not list(PACKAGE.rglob(pickled))


def test_the_conda_recipe_asks_for_what_the_package_asks_for() -> None:
    path = REPOSITORY / ".ci" / "conda" / "recipe.yaml"
    if not path.is_file():
        pytest.skip("the recipe is not in this copy of the package")
    recipe = yaml.safe_load(path.read_text())
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert recipe["context"]["version"] == project["version"]
    names = {"torch": "pytorch", "matplotlib": "matplotlib-base"}  # as conda-forge calls them
    wanted = {names.get(n, n) + rest for n, rest in map(divided, project["dependencies"])}
    found = {text.replace(" ", "", 1) for text in recipe["requirements"]["run"]}
    assert found - {f"python{project['requires-python']}"} == wanted


def divided(requirement: str) -> tuple[str, str]:
    """Name and versions of a requirement."""
    name = re.match(r"[\w.-]+", requirement)[0]
    return name, requirement.removeprefix(name)
