from __future__ import annotations

import csv
import json
from importlib.metadata import entry_points

import pytest
from e3dos_thermochemistry import plugin
from e3dos_thermochemistry.errors import ThermochemistryError
from monty.serialization import dumpfn
from pymatgen.core import Lattice, Structure
from pymatgen.entries.computed_entries import ComputedStructureEntry
from typer import Typer
from typer.testing import CliRunner

from ase_e3dos.errors import OutputError
from ase_e3dos.plugins import PluginRegistry, get_registry


@pytest.fixture(scope="module")
def files(rocksalt, tmp_path_factory):
    folder = tmp_path_factory.mktemp("crystals")
    for name, structure in rocksalt.items():
        structure.to(filename=str(folder / f"{name}.vasp"), fmt="poscar")
    return folder


@pytest.fixture
def e3dos():
    """Runs a command as `e3dos` would; its output, or the error it ends with."""

    def run(name, *arguments):
        spec = next(s for s in plugin.ase_e3dos_commands() if s.name == name)
        app = Typer()
        app.command(name)(spec.load())
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.output

    return run


def test_commands_are_registered():
    registry = PluginRegistry(plugins=[])
    registry.register(plugin)
    assert {"reaction", "hull", "coefficients"} <= set(registry.commands())


def test_is_installed_as_pip_installs_it():
    if not entry_points(group="ase_e3dos", name="thermochemistry"):
        pytest.skip("the package is not installed (pip install it from its folder)")
    rows = {row.distribution: row for row in get_registry().status()}
    assert rows["e3dos-thermochemistry"].status == "loaded"


def test_reaction(e3dos, files, tmp_path):
    arguments = ["MgCO3 -> MgO + CO2", files / "MgCO3.vasp", files / "MgO.vasp"]
    found = json.loads(e3dos("reaction", *arguments, "--json", "-T", 298.15, "-T", "300:400:50"))
    assert found["temperatures"] == [298.15, 300, 350, 400]
    assert "gibbs" not in found
    assert 160 < found["entropy"][0] < 185
    text = e3dos(
        "reaction",
        *arguments,
        "--enthalpies",
        "MgCO3=-1095.8,MgO=-601.6",
        "-T",
        "400:800:25",
        "--plot",
        tmp_path / "a.png",
        "-o",
        tmp_path / "a.csv",
    )
    with (tmp_path / "a.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [float(row["temperature_K"]) for row in rows[::4]] == [400, 500, 600, 700, 800]
    gibbs = [float(row["gibbs_kJ_per_mol"]) for row in rows]
    assert gibbs[0] > 0 > gibbs[-1]  # so that the equilibrium lies between
    assert all(float(row["half_width_gibbs_kJ_per_mol"]) > 0 for row in rows)
    with pytest.raises(OutputError, match=r"-o .*\.vasp"):
        e3dos("reaction", *arguments, "-o", files / "MgO.vasp")
    assert "equilibrium at" in text
    assert (tmp_path / "a.png").stat().st_size > 1000
    with pytest.raises(ThermochemistryError, match="give formulas with numbers"):
        e3dos("reaction", *arguments, "--energies", "MgCO3=x")


@pytest.mark.filterwarnings("ignore")
def test_hull(e3dos, rocksalt, tmp_path):
    magnesium = Structure.from_spacegroup(
        "P6_3/mmc", Lattice.hexagonal(3.209, 5.211), ["Mg"], [[1 / 3, 2 / 3, 0.25]]
    )
    oxygen = Structure(Lattice.cubic(5.0), ["O", "O"], [[0, 0, 0], [0, 0, 0.242]])
    entries = [
        ComputedStructureEntry(magnesium, -3.0, entry_id="metal"),
        ComputedStructureEntry(oxygen, -9.9, entry_id="oxygen"),
        ComputedStructureEntry(rocksalt["MgO"], -12.0, entry_id="oxide"),
    ]
    dumpfn(entries, tmp_path / "entries.json")
    text = e3dos(
        "hull",
        tmp_path / "entries.json",
        *("-T", "0:1000:1000", "--samples", 20, "--descriptor"),
        *("-o", tmp_path / "hull.csv", "--plot", tmp_path / "hull.png"),
    )
    assert "on the hull at 1000 K: Mg (100%), MgO (100%), O2 (100%)" in text
    assert "by pymatgen's descriptor: Mg, MgO, O2" in text
    assert len((tmp_path / "hull.csv").read_text().splitlines()) == 1 + 3 * 2
    assert (tmp_path / "hull.png").stat().st_size > 1000


def test_coefficients(e3dos, files, tmp_path):
    place = tmp_path / "mgo.tdb"
    text = e3dos("coefficients", files / "MgO.vasp", "-o", place, "--enthalpies", "MgO=-601.6")
    assert "errors are the fit's largest" in text
    assert "PARAMETER G(MGO,MG:O;0)" in place.read_text()
    with pytest.raises(ThermochemistryError, match="no structure of CaO"):
        e3dos("coefficients", files / "MgO.vasp", "--enthalpies", "CaO=-634.9")
