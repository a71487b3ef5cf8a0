from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ase.build import bulk
from ase.io import write
from small_screen import crystals, table_of

from ase_e3dos.errors import ScreeningError
from ase_e3dos.screening.entries import KeySet, content_hash, with_unique_ids
from ase_e3dos.screening.inputs import count_entries, iter_entries, iter_unread
from ase_e3dos.structures.crystal import Crystal

ATOMS = [atoms for _, atoms in crystals(5)]


def ids_and_formulas(inputs: object) -> dict[str, str]:
    return {e.id: e.crystal.formula for e in iter_entries(inputs)}


def contents(inputs: object) -> list[str]:
    return [e.content for e in iter_entries(inputs)]


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The same five crystals in every kind of file."""
    from ase.db import connect
    from pymatgen.io.ase import AseAtomsAdaptor

    found = {}
    for suffix in ("extxyz", "traj"):
        found[suffix] = tmp_path / f"all.{suffix}"
        write(found[suffix], ATOMS)
    found["db"] = tmp_path / "all.db"
    with connect(found["db"]) as db:
        for atoms in ATOMS:
            db.write(atoms)
    structures = [AseAtomsAdaptor.get_structure(atoms).as_dict() for atoms in ATOMS]
    found["jsonl"] = tmp_path / "all.jsonl"
    found["jsonl"].write_text("\n".join(map(json.dumps, structures)) + "\n")
    found["gz"] = tmp_path / "all.jsonl.gz"
    with gzip.open(found["gz"], "wt") as stream:
        for k, structure in enumerate(structures):
            stream.write(json.dumps({"material_id": f"m-{k}", "structure": structure}) + "\n")
    found["parquet"] = tmp_path / "all.parquet"
    pq.write_table(table_of(5), found["parquet"])
    found["folder"] = tmp_path / "folder"
    (found["folder"] / "deep").mkdir(parents=True)
    for k, atoms in enumerate(ATOMS):
        write(found["folder"] / ("deep" if k > 2 else "") / f"{k}.vasp", atoms, format="vasp")
    (found["folder"] / "README.md").write_text("not a structure")
    return found


@pytest.mark.parametrize("kind", ["extxyz", "traj", "db", "jsonl", "gz", "parquet", "folder"])
def test_every_kind_of_file_gives_all_crystals(files: dict[str, Path], kind: str) -> None:
    found = ids_and_formulas(files[kind])
    assert sorted(found.values()) == ["CaS", "KBr", "LiF", "MgO", "NaCl"]
    assert count_entries([str(files[kind])]) == 5


def test_ids(files: dict[str, Path]) -> None:
    assert list(ids_and_formulas(files["parquet"])) == [f"salt-{k}" for k in range(5)]
    assert list(ids_and_formulas(files["gz"])) == [f"m-{k}" for k in range(5)]
    assert list(ids_and_formulas(files["extxyz"]))[1] == f"{files['extxyz']}[1]"
    assert f"{files['folder']}/deep/4.vasp" in ids_and_formulas(files["folder"])


def test_settings_among_the_files_of_a_directory_are_no_structures(
    files: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    write(folder / "ase.json", ATOMS[0])
    structure = json.loads(files["jsonl"].read_text().splitlines()[1])
    (folder / "pymatgen.json").write_text(json.dumps(structure))
    (folder / "settings.json").write_text('{"theme": "dark", "files.autoSave": true}')
    (folder / "options.yaml").write_text("threads: 4\n")
    (folder / "empty.json").write_text("")
    names = {Path(e.id).name.partition("[")[0]: e.crystal for e in iter_entries(folder)}
    assert sorted(names) == ["ase.json", "empty.json", "pymatgen.json"]
    assert isinstance(names["ase.json"], Crystal)
    assert isinstance(names["pymatgen.json"], Crystal)
    # Named by the user, it is an input like others.
    (named,) = iter_entries(folder / "settings.json")
    assert isinstance(named.crystal, Exception)


def test_globs_and_lists_of_paths(files: dict[str, Path]) -> None:
    assert len(ids_and_formulas(str(files["folder"] / "*.vasp"))) == 3
    assert len(ids_and_formulas([files["extxyz"], str(files["db"])])) == 10


def test_tables_of_pandas_and_pyarrow(files: dict[str, Path]) -> None:
    import pandas as pd
    from pymatgen.io.ase import AseAtomsAdaptor

    expected = contents(files["parquet"])
    table = table_of(5)
    assert contents(table) == contents(table.to_batches()[0]) == expected
    assert contents(table.to_pandas()) == expected
    frame = pd.DataFrame(
        {"id": list("abcde"), "structure": [AseAtomsAdaptor.get_structure(a) for a in ATOMS]}
    )
    assert ids_and_formulas(frame)["b"] == "MgO"


def test_tables_of_polars_nested_columns_and_rows_as_dictionaries(files: dict[str, Path]) -> None:
    polars = pytest.importorskip("polars")
    import pyarrow as pa

    expected = contents(files["parquet"])
    frame = polars.read_parquet(files["parquet"])
    assert contents(frame) == expected
    assert list(ids_and_formulas(frame.iter_rows(named=True)))[3] == "salt-3"
    nested = frame.to_pandas()
    for column in ("cell", "positions_frac"):
        nested[column] = [np.reshape(v, (-1, 3)).tolist() for v in nested[column]]
    assert contents(nested) == contents(pa.Table.from_pandas(nested)) == expected
    assert contents(pa.Table.from_pandas(nested).slice(2)) == expected[2:]
    assert contents({f"mine-{k}": atoms for k, atoms in enumerate(ATOMS)}) == expected
    assert count_entries(frame) == 5


@pytest.mark.parametrize("suffix", ["gz", "bz2", "xz"])
def test_json_lines_compressed_and_with_the_mark_of_windows(
    files: dict[str, Path], tmp_path: Path, suffix: str
) -> None:
    import importlib

    module = importlib.import_module({"gz": "gzip", "xz": "lzma"}.get(suffix, suffix))
    path = tmp_path / f"lines.jsonl.{suffix}"
    with module.open(path, "wt", encoding="utf-8-sig") as stream:
        stream.write(files["jsonl"].read_text())
    assert contents(path) == contents(files["jsonl"])
    assert count_entries(path) == 5


def test_iterables_of_structures() -> None:
    named = ATOMS[0].copy()
    named.info["material_id"] = "mp-22862"
    found = ids_and_formulas(
        iter([named, ("mine", ATOMS[1]), ATOMS[2], Crystal.from_any(ATOMS[3])])
    )
    assert found == {"mp-22862": "NaCl", "mine": "MgO", "2": "LiF", "3": "KBr"}
    assert ids_and_formulas(ATOMS[0]) == {"0": "NaCl"}


def test_streams_are_read_no_further_than_needed() -> None:
    read: list[int] = []

    def endless():
        k = 0
        while True:
            read.append(k)
            yield ATOMS[k % 5]
            k += 1

    entries = iter_entries(endless())
    for _ in range(10):
        next(entries)
    assert len(read) == 10


def test_what_cannot_be_read_is_an_entry_with_its_error(
    files: dict[str, Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "empty.cif").write_text("")
    (broken / "a.jsonl").write_text('{"lattice": 1}\nnot json\n' + files["jsonl"].read_text())
    text = files["extxyz"].read_text()
    (broken / "cut.extxyz").write_text(text[: int(len(text) * 0.7)])
    (broken / "b.parquet").write_bytes(files["parquet"].read_bytes()[:200])
    molecule = ATOMS[0].copy()
    molecule.pbc = False
    write(broken / "mixed.traj", [molecule, *ATOMS])
    found = list(iter_entries(broken))
    good = [e for e in found if isinstance(e.crystal, Crystal)]
    bad = {e.id.removeprefix(f"{broken}/"): str(e.crystal) for e in found if e not in good}
    assert len(good) >= 10
    assert "empty" in bad["empty.cif"]
    assert "line 2 is not JSON" in bad["a.jsonl[1]"]
    assert "Parquet" in bad["b.parquet"]
    assert "periodic" in bad["mixed.traj[0]"]
    assert any(name.startswith("cut.extxyz") for name in bad)


def test_wrong_paths_are_said_at_once(tmp_path: Path) -> None:
    from ase_e3dos import screen

    with pytest.raises(ScreeningError, match="no such file"):
        screen(tmp_path / "absent.cif", tmp_path / "out")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ScreeningError, match="no structure file"):
        screen([str(tmp_path / "nothing")], tmp_path / "out")
    with pytest.raises(ScreeningError, match="no structure file"):
        screen(str(tmp_path / "*.cif"), tmp_path / "out")
    for wrong in (b"path", 3, None):
        with pytest.raises(ScreeningError, match="holds no structures"):
            list(iter_entries(wrong))
    with pytest.raises(ScreeningError, match="no such file"):
        list(iter_entries("x" * 5000))
    assert not (tmp_path / "out").exists()


def test_content_is_the_crystal_and_not_its_name_or_file(files: dict[str, Path]) -> None:
    assert contents(files["jsonl"]) == contents(files["gz"]) == contents(files["db"])
    one, other = Crystal.from_any(ATOMS[0], "one"), Crystal.from_any(ATOMS[0], "other")
    assert content_hash(one) == content_hash(other)
    heavy = ATOMS[0].copy()
    heavy.set_masses([24.0, 35.45])
    moved = ATOMS[0].copy()
    moved.positions[1] += 1e-6
    hashes = {content_hash(Crystal.from_any(a)) for a in (ATOMS[0], heavy, moved, bulk("Si"))}
    assert len(hashes) == 4


def test_ids_that_repeat_are_numbered_across_blocks() -> None:
    pairs = [("same", ATOMS[0])] * 300 + [("other", ATOMS[1])] + [("same", ATOMS[0])]
    found = [e.id for block in with_unique_ids(iter_unread(pairs)) for e in block]
    assert len(set(found)) == 302
    assert found[:2] == ["same", "same#2"]
    assert found[-1] == "same#301"


@pytest.mark.parametrize("far", [0, 300])
def test_ids_that_look_like_numbered_ones_stay_unique(far: int) -> None:
    """Within a block, and with one block or more between them."""
    between = [(f"other-{k}", ATOMS[3]) for k in range(far)]
    for names in (["x", "x", "x#2"], ["x#2", "x", "x"], ["x", "x#2", "x", "x#2", "x"]):
        pairs = []
        for name in names:
            pairs += [(name, ATOMS[0]), *between]
            between = [(f"{n}'", atoms) for n, atoms in between]
        found = [e.id for block in with_unique_ids(iter_unread(pairs)) for e in block]
        assert len(set(found)) == len(pairs)
        again = [e.id for block in with_unique_ids(iter_unread(pairs)) for e in block]
        assert again == found


def test_a_key_set_knows_what_was_added() -> None:
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 2**63, 5000, dtype=np.uint64)
    some = KeySet()
    for block in np.array_split(keys, 40):
        assert not some.contains(block).any()
        some.add(block)
        some.add(block)
    assert len(some) == 5000
    assert some.contains(keys).all()
    assert not some.contains(keys + np.uint64(1)).any()
