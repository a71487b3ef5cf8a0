"""What commands do with names that no file has, and with several structures for one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from ase.build import bulk
from ase.io import write
from ase.spacegroup import crystal

from ase_e3dos import E3DOSPredictor, predict
from ase_e3dos.errors import OutputError, UnknownModelError
from ase_e3dos.screening import screen
from ase_e3dos.structures import read
from ase_e3dos.structures.reading import count

Run = Callable[..., tuple[int, str, str]]
pytestmark = pytest.mark.usefixtures("default_model")

LONG = "x" * 400
NO_USER = "~nosuch-user/x"
SALT = bulk("NaCl", "rocksalt", a=5.64)
MAGNESIA = bulk("MgO", "rocksalt", a=4.21)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a.cif, folder/ and several.extxyz (two structures each)."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    write("a.cif", SALT)
    write("folder/a.cif", SALT)
    write("folder/b.extxyz", MAGNESIA)
    write("several.extxyz", [SALT, MAGNESIA])
    return tmp_path


def check_refused(answer: tuple[int, str, str], *words: str) -> None:
    code, _, err = answer
    assert (code, err.count("error:")) == (2, 1), err
    assert "Traceback" not in err
    for word in words:
        assert word in err


@pytest.mark.parametrize(
    "command",
    [
        ["predict"],
        ["describe"],
        ["label", "-o", "l.parquet"],
        ["adp"],
        ["alloy", "a.cif"],
        ["phases", "a.cif"],
    ],
    ids=lambda command: command[0],
)
def test_text_or_long_name_in_the_place_of_a_path(
    command: list[str], run_cli: Run, place: Path
) -> None:
    text = Path("a.cif").read_text(encoding="utf-8")
    check_refused(run_cli(*command, text), "this is the content of a CIF file")
    check_refused(run_cli(*command, LONG), "no such file", "400 characters")


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "a.cif", "-o", LONG],
        ["predict", "a.cif", "--plot", f"{LONG}.png"],
        ["phases", "a.cif", "a.cif", "-o", f"{LONG}.csv"],
        ["screen", "folder", "-o", LONG],
        ["label", "a.cif", "-o", f"{LONG}.parquet"],
        ["predict", "a.cif", "-o", NO_USER],
        ["screen", "a.cif", "-o", NO_USER],
    ],
    ids=lambda command: f"{command[0]} {command[-2]} {command[-1][:3]}",
)
def test_output_of_a_name_that_nothing_can_have(
    command: list[str], run_cli: Run, place: Path
) -> None:
    before = sorted(place.rglob("*"))
    check_refused(run_cli(*command), command[-2])
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(
    "command",
    [
        ["predict", "a.cif", "--model", LONG],
        ["predict", "a.cif", "--model", "~nosuch-user/x.safetensors"],
        ["predict", "a.cif", "--relax", f"emt={LONG}"],
        ["report", LONG],
        ["refine", LONG, "-c", "emt"],
        ["evaluate", "--data", LONG],
        ["train", LONG],
        ["train", "small", "--data-dir", NO_USER],
        ["curves", LONG],
        ["alloy", "a.cif", "a.cif", "--compare", LONG],
    ],
    ids=lambda command: f"{command[0]} {command[-1][:6]}",
)
def test_model_screen_or_run_of_a_name_that_nothing_can_have(
    command: list[str], run_cli: Run, place: Path
) -> None:
    check_refused(run_cli(*command), max(command, key=len).removeprefix("emt="))


@pytest.mark.parametrize("name", [LONG, "a\0b", NO_USER], ids=["long", "zero byte", "no user"])
def test_names_in_python(name: str, place: Path) -> None:
    with pytest.raises(OutputError):
        screen([SALT], name)
    for model in (name, f"{name}.safetensors"):
        with pytest.raises(UnknownModelError):
            predict(SALT, model=model)
        with pytest.raises(UnknownModelError):
            E3DOSPredictor(model=model)


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        (["several.extxyz"], ["several.extxyz[0]", "several.extxyz[1]"]),
        (["folder"], ["folder/a.cif", "folder/b.extxyz"]),
        (["folder/*"], ["folder/a.cif", "folder/b.extxyz"]),
        (["a.cif", "folder"], ["a.cif", "folder/a.cif", "folder/b.extxyz"]),
    ],
    ids=" ".join,
)
def test_describe_names_every_structure(
    inputs: list[str], names: list[str], run_cli: Run, place: Path
) -> None:
    code, out, err = run_cli("describe", *inputs, "--json", "-o", "d.csv")
    assert code == 0, err
    rows = json.loads(out)
    assert [row["file"] for row in rows] == names
    assert pd.read_csv("d.csv")["file"].tolist() == names
    edges = [s.describe()["upper_edge"] for s in predict(inputs)]
    assert [row["upper_edge"] for row in rows] == pytest.approx(edges)


def test_describe_names_records_by_their_ids(run_cli: Run, place: Path) -> None:
    lines = [
        json.dumps(
            {
                "id": f"m{k}",
                "numbers": MAGNESIA.numbers.tolist(),
                "cell": MAGNESIA.cell.tolist(),
                "positions": MAGNESIA.positions.tolist(),
                "pbc": [True] * 3,
            }
        )
        for k in range(2)
    ]
    Path("s.jsonl").write_text("\n".join(lines), encoding="utf-8")
    code, out, err = run_cli("describe", "s.jsonl", "--json")
    assert code == 0, err
    assert [row["file"] for row in json.loads(out)] == ["m0", "m1"]


def test_folder_with_other_parquet_files_is_no_screen(run_cli: Run, place: Path) -> None:
    Path("folder/notes.parquet").write_text("not one", encoding="utf-8")
    code, out, _ = run_cli("describe", "folder/a.cif", "folder/b.extxyz", "--json")
    assert code == 0
    Path("folder/.other").mkdir()
    Path("folder/notes.parquet").rename("folder/.other/notes.parquet")
    code, again, err = run_cli("describe", "folder", "--json")
    assert code == 0, err
    assert json.loads(again) == json.loads(out)
    Path("folder/.other/notes.parquet").rename("folder/part-00000.parquet")
    check_refused(run_cli("describe", "folder", "--json"), "part-00000.parquet", "damaged")


@pytest.mark.parametrize("source", ["several.extxyz", "folder", "folder/*"])
@pytest.mark.parametrize(
    "command",
    [["adp"], ["compare", "measured.txt"], ["isotopes", "--mass", "Na=24"]],
    ids=lambda command: command[0],
)
def test_several_structures_for_one(
    command: list[str], source: str, run_cli: Run, place: Path
) -> None:
    lines = "\n".join(f"{x} {50 - abs(x - 20)}" for x in range(1, 40))
    Path("measured.txt").write_text(f"# energy (meV)\n{lines}\n", encoding="utf-8")
    name, *others = command
    check_refused(run_cli(name, source, *others), source, "several structures and one is needed")


def test_folder_of_one_structure_is_one(run_cli: Run, place: Path) -> None:
    Path("folder/b.extxyz").unlink()
    code, out, err = run_cli("adp", "folder", "--json")
    assert code == 0, err
    assert json.loads(out)["formula"] == "NaCl"


@pytest.mark.parametrize("source", ["poly", "poly/*"])
def test_phases_of_a_folder(source: str, run_cli: Run, place: Path) -> None:
    Path("poly").mkdir()
    rutile = crystal(
        ["Ti", "O"], [(0, 0, 0), (0.3053, 0.3053, 0)], spacegroup=136,
        cellpar=[4.594, 4.594, 2.959, 90, 90, 90],
    )  # fmt: skip
    anatase = crystal(
        ["Ti", "O"], [(0, 0, 0), (0, 0, 0.2081)], spacegroup=141,
        cellpar=[3.785, 3.785, 9.514, 90, 90, 90],
    )  # fmt: skip
    write("poly/rutile.cif", rutile)
    write("poly/anatase.cif", anatase)
    write("poly/strained.cif", rutile, format="cif")
    code, out, err = run_cli("phases", source, "--json")
    assert code == 0, err
    assert json.loads(out)["names"] == ["anatase", "rutile", "strained"]


@pytest.mark.parametrize("source", ["ends", "ends/*", "ends.extxyz"])
def test_alloy_of_end_members_that_are_together(source: str, run_cli: Run, place: Path) -> None:
    Path("ends").mkdir()
    ends = [bulk("GaAs", "zincblende", a=5.653), bulk("InAs", "zincblende", a=6.058)]
    write("ends/GaAs.cif", ends[0])
    write("ends/InAs.cif", ends[1])
    write("ends.extxyz", ends)
    code, out, err = run_cli("alloy", source, "-n", 3)
    assert code == 0, err
    assert "Ga0.5In0.5As" in out or "In0.5Ga0.5As" in out


def test_row_of_a_table_is_a_structure() -> None:
    table = pd.DataFrame({"id": ["k", "l"], "structure": [SALT, MAGNESIA], "y": [1, 2]})
    assert [(c.name, c.formula) for c in read(table.iloc[1])] == [("l", "MgO")]
    assert count(table.iloc[1]) == 1
    rows = [row for _, row in table.iterrows()]
    assert [c.name for c in read(rows)] == ["k", "l"]
    assert [c.formula for c in read(table["structure"])] == ["NaCl", "MgO"]


def test_low_temperature_is_warned_of_once_a_crystal(run_cli: Run, place: Path) -> None:
    for _ in range(2):  # and once in every run of the command
        code, out, err = run_cli("predict", "folder", "-T", 5, "-o", "out", "--csv")
        assert code == 0
        assert (out + err).count("follow from the acoustic law") == 2


def test_level_of_intervals_has_one_name() -> None:
    from ase_e3dos.evaluation import chemistry

    assert not hasattr(chemistry, "LEVEL")
