"""`ase_e3dos.structures.read`: the one way from anything to crystals."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from cif_texts import kinds, salt

from ase_e3dos.errors import CrystalError, E3DOSError, UnreadableFileError
from ase_e3dos.structures import Crystal, Reading, read, read_each
from ase_e3dos.structures.paths import SUFFIXES
from ase_e3dos.structures.reading import check_source, count

SALTS = [bulk("NaCl", "rocksalt", a=5.64), bulk("MgO", "rocksalt", a=4.21), bulk("Cu")]
FORMULAS = ["NaCl", "MgO", "Cu"]


def pymatgen(atoms: Atoms) -> Any:
    from pymatgen.io.ase import AseAtomsAdaptor

    return AseAtomsAdaptor.get_structure(atoms)


def phonopy(atoms: Atoms) -> Any:
    from phonopy.structure.atoms import PhonopyAtoms

    return PhonopyAtoms(
        numbers=atoms.numbers, cell=atoms.cell.array, scaled_positions=atoms.get_scaled_positions()
    )


def spglib(atoms: Atoms) -> Any:
    return (atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers)


def entry(atoms: Atoms) -> Any:
    from pymatgen.entries.computed_entries import ComputedStructureEntry

    return ComputedStructureEntry(pymatgen(atoms), -1.0)


def row(atoms: Atoms) -> Any:
    from ase.db.row import AtomsRow

    made = AtomsRow(atoms)
    made.id = 1
    return made


def jarvis(atoms: Atoms) -> Any:
    return {
        "lattice_mat": atoms.cell.tolist(),
        "coords": atoms.get_scaled_positions().tolist(),
        "elements": [f"{s} " for s in atoms.symbols],
        "cartesian": False,
    }


def own(atoms: Atoms) -> Any:
    return {
        "id": "x",
        "numbers": atoms.numbers.tolist(),
        "cell": atoms.cell.tolist(),
        "positions_frac": atoms.get_scaled_positions().tolist(),
    }


def phonon(atoms: Atoms) -> Any:
    from phonopy import Phonopy

    return Phonopy(phonopy(atoms), np.eye(3, dtype=int))


FORMS = {
    "Atoms": lambda a: a, "Crystal": Crystal.from_any, "Structure": pymatgen,
    "PhonopyAtoms": phonopy, "Phonopy": phonon, "spglib": spglib,
    "spglib as lists": lambda a: [part.tolist() for part in spglib(a)],
    "ComputedStructureEntry": entry, "its dictionary": lambda a: entry(a).as_dict(),
    "Structure.as_dict": lambda a: pymatgen(a).as_dict(), "AtomsRow": row,
    "Atoms.todict": lambda a: a.todict(), "JARVIS": jarvis, "own columns": own,
    "record": lambda a: {"material_id": "mp-1", "structure": pymatgen(a).as_dict()},
    "record of JSON": lambda a: {"structure": pymatgen(a).to_json()},
    "record of CIF": lambda a: {"cif": pymatgen(a).to(fmt="cif")},
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_objects_alone_and_in_lists(form: str) -> None:
    given = [FORMS[form](atoms) for atoms in SALTS]
    for one, formula in zip(given, FORMULAS, strict=True):
        (crystal,) = read(one)
        assert crystal.formula == formula
        assert Crystal.from_any(one).formula == formula
        assert count(one) == 1
    box = np.empty(3, dtype=object)
    box[:] = given
    for many in (given, tuple(given), iter(given), box, dict(zip("abc", given, strict=True))):
        crystals = read(many)
        assert [c.formula for c in crystals] == FORMULAS
        if isinstance(many, dict):
            assert [c.name for c in crystals] == ["a", "b", "c"]


def test_series_frames_and_arrow() -> None:
    pd = pytest.importorskip("pandas")
    import pyarrow as pa

    series = pd.Series(SALTS, index=["x", "y", "z"])
    assert [(c.name, c.formula) for c in read(series)][1] == ("y", "MgO")
    texts = pd.DataFrame(
        {"jid": ["a", "b", "c"], "cif": [pymatgen(a).to(fmt="cif") for a in SALTS]}
    )
    assert [(r.id, r.crystal.formula) for r in read_each(texts)][2] == ("c", "Cu")
    table = pa.Table.from_pylist([own(a) for a in SALTS])
    assert [c.formula for c in read(table)] == FORMULAS
    assert count(series) == count(texts) == count(table) == 3


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The three crystals in every kind of file that holds many."""
    from ase.db import connect

    kinds = ("extxyz", "xyz", "traj", "db", "json", "jsonl", "ndjson", "parquet", "cif")
    found = {name: tmp_path / f"many.{name}" for name in kinds}
    for name in ("extxyz", "traj"):
        write(found[name], SALTS)
    write(found["xyz"], SALTS, format="extxyz")
    with connect(found["db"]) as db:
        for atoms in SALTS:
            db.write(atoms)
    records = [pymatgen(a).as_dict() for a in SALTS]
    found["json"].write_text(json.dumps(records))
    found["jsonl"].write_text("".join(json.dumps({"structure": r}) + "\n" for r in records))
    found["ndjson"].write_text("".join(json.dumps(r) + "\n" for r in records))
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([own(a) for a in SALTS]), found["parquet"])
    found["cif"].write_text("".join(pymatgen(a).to(fmt="cif") for a in SALTS))
    found["folder"] = tmp_path / "folder"
    (found["folder"] / "deep" / ".hidden").mkdir(parents=True)
    for k, atoms in enumerate(SALTS):
        write(found["folder"] / ("deep" if k else "") / f"{k}.vasp", atoms, format="vasp")
    write(found["folder"] / "deep" / ".hidden" / "x.vasp", SALTS[0], format="vasp")
    (found["folder"] / "notes.txt").write_text("nothing")
    found["pattern"] = Path(f"{found['folder']}/**/*.vasp")
    return found


def test_files_of_many_structures(files: dict[str, Path]) -> None:
    for path in files.values():
        for given in (path, str(path), [path]):
            assert [c.formula for c in read(given)] == FORMULAS, path
    assert [c.formula for c in read(list(files.values()))] == FORMULAS * len(files)
    for name in ("extxyz", "xyz", "traj", "db", "jsonl", "ndjson", "parquet", "folder"):
        assert count(files[name]) == 3, name
    from ase.db import connect

    assert [c.formula for c in read(connect(files["db"]))] == FORMULAS
    from ase.io.trajectory import Trajectory

    assert [c.formula for c in read(Trajectory(str(files["traj"])))] == FORMULAS


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])
def test_compressed_files(files: dict[str, Path], tmp_path: Path, ending: str) -> None:
    opener = {"gz": gzip.open, "bz2": bz2.open, "xz": lzma.open}[ending]
    for name in ("extxyz", "jsonl", "json", "cif"):
        path = tmp_path / f"packed.{name}.{ending}"
        with opener(path, "wb") as stream:
            stream.write(files[name].read_bytes())
        assert [c.formula for c in read(path)] == FORMULAS
        path.write_bytes(path.read_bytes()[:40])
        with pytest.raises(UnreadableFileError, match="uncompressed"):
            read(path)


def test_names() -> None:
    named = SALTS[0].copy()
    named.info["material_id"] = "mp-22862"
    found = list(
        read_each([named, SALTS[1], ("mine", SALTS[2]), Crystal.from_any(SALTS[2], "own")])
    )
    assert [r.id for r in found] == ["mp-22862", "1", "mine", "3"]
    assert [r.crystal.name for r in found] == ["mp-22862", "structure 1 (MgO)", "mine", "own"]
    assert isinstance(found[0], Reading)


def test_errors_are_in_their_places_or_raised() -> None:
    molecule = Atoms("H2", [[0, 0, 0], [0, 0, 0.74]])
    given = [SALTS[0], molecule, 3, None, {"a": 1}, "no/such/file.cif", SALTS[2]]
    with pytest.raises(CrystalError, match=r"^structure 1 \(H2\): not periodic"):
        read(given)
    found = read_each(given)
    outcomes = [next(found).crystal for _ in range(5)]
    assert [isinstance(c, Crystal) for c in outcomes] == [True, False, False, False, False]
    assert str(outcomes[2]).startswith("structure 2: an object of type int")
    with pytest.raises(UnreadableFileError, match="no such file"):
        next(found)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        (salt(), "content of a CIF file where a path is meant"),
        ("# comment\n\n" + salt(), "content of a CIF file"), ("data_x\n", "content of a CIF file"),
        ('{"lattice": 1,\n "sites": []}' + " " * 300, "content of a JSON file"),
        ("salt\n1.0\n5 0 0\n0 5 0\n0 0 5\nNa\n1\nDirect\n0 0 0\n", "content of a POSCAR"),
        ("2\nLattice\nNa 0 0 0\nCl 1 1 1\n", "content of an XYZ file"),
        ("a\x00b.cif", "zero byte"), ("~nobody_of_this_name/x.cif", "no such user"),
        ("x" * 300, "no path can be as long|no such file"), ("x" * 100_000, "no path"),
        ("absent.cif", "no such file"), ("absent/*.cif", "no structure file"), ("", "no such file"),
    ],
)  # fmt: skip
def test_what_is_no_path_is_told_so(path: str, says: str) -> None:
    for reader in (read, Crystal.from_any, check_source, lambda p: read([p])):
        if reader == Crystal.from_any and "*" in path:
            continue
        with pytest.raises(UnreadableFileError, match=says):
            reader(path)


@pytest.mark.parametrize("wrong", [b"data_x", bytearray(b"x"), 3, None, 1.5, object()])
def test_what_holds_no_structures_is_told_so(wrong: object) -> None:
    with pytest.raises(CrystalError, match="holds no structures"):
        read(wrong)


def test_home_directories_and_bytes_in_names(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "a.cif", SALTS[0])
    assert read("~/a.cif")[0].formula == "NaCl"
    assert Crystal.from_any("~/a.cif").formula == "NaCl"
    odd = os.fsencode(tmp_path) + b"/\xff.cif"
    Path(os.fsdecode(odd)).write_bytes(salt().encode())
    assert read(os.fsdecode(odd))[0].formula == "NaCl"


def test_files_without_an_ending_and_with_a_wrong_one(tmp_path: Path) -> None:
    for name in ("structure", "structure.txt", "entry.dat"):
        (tmp_path / name).write_text("# from a database\n" + salt())
        assert read(tmp_path / name)[0].formula == "NaCl"
    write(tmp_path / "a.xsf", SALTS[0])
    assert read(tmp_path / "a.xsf")[0].formula == "NaCl"
    assert ".cif" in SUFFIXES


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.res", "TITL a\nCELL 0.7 5.64 5.64 5.64 90 90 90\nLATT 4\nSYMM -X,-Y,Z\nSFAC Na\n"
                  "Na1 1 0.0 0.0 0.0 1.0\nEND\n"),
        ("a.res", "TITL a\nCELL 0.7 5.64 5.64 5.64 90 90 90\nLATT -1\nSFAC Na K\n"
                  "Na1 1 0.0 0.0 0.0 0.5\nEND\n"),
        ("a.pdb", "CRYST1   52.000   58.600   61.900  90.00  90.00  90.00 P 21 21 21    8\n"
                  "ATOM      1  N   ALA A   1      11.104   6.134  -6.504  1.00  0.00\n"),
        ("pw.in", "&SYSTEM\n ibrav=2, space_group = 225\n/\nATOMIC_POSITIONS crystal_sg\n"),
        ("a.in", "acell 3*10\nspgroup 225\nnatrd 1\n"),
        ("b.in", "acell 3*10 znucl 11 17\nnatom 2 spgroup 225\n"),
        ("a.cssr", " " * 38 + "5.64 5.64 5.64\n" + " " * 21 + "90 90 90    SPGR = 225 F m -3 m\n"),
        ("a.car", "!BIOSYM archive 3\nPBC=ON\n\n!DATE\n"
                  "PBC   5.64 5.64 5.64 90.0 90.0 90.0 (FM-3M)\nNa1 0 0 0 XXXX 1 xx Na 0.0\nend\n"),
        ("a.struct", "salt\nP   LATTICE,NONEQUIV.ATOMS:  2\nMODE OF CALC=RELA unit=ang\n"),
        ("a.cell", "%BLOCK LATTICE_CART\n5 0 0\n0 5 0\n0 0 5\n%ENDBLOCK LATTICE_CART\n"
                   "%BLOCK POSITIONS_FRAC\nNa 0 0 0 MIXTURE:( 1 0.5)\nK 0 0 0 MIXTURE:( 1 0.5)\n"
                   "%ENDBLOCK POSITIONS_FRAC\n"),
    ],
)  # fmt: skip
def test_formats_with_symmetry_or_fractions_that_ase_leaves_out_are_refused(
    tmp_path: Path, name: str, text: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(CrystalError, match="leaves out"):
        read(tmp_path / name)


def test_sizes_have_limits(tmp_path: Path, monkeypatch: Any) -> None:
    from ase_e3dos.structures import files, uncompressed

    bomb = tmp_path / "bomb.cif.gz"
    with gzip.open(bomb, "wb") as stream:
        stream.write(b"data_x\n" + b"#" * 3_000_000)
    lines = tmp_path / "long.jsonl"
    lines.write_text('{"structure": "' + "x" * 3_000_000 + '"}\n')
    monkeypatch.setattr(uncompressed, "FILE_BYTES", 2**20)
    monkeypatch.setattr(files, "LINE_BYTES", 2**20)
    with pytest.raises(UnreadableFileError, match="larger than 1 MiB"):
        read(bomb)
    with pytest.raises(UnreadableFileError, match="line 1 is longer than 1 MiB"):
        read(lines)


def test_moments_are_noted_whatever_the_way_in(tmp_path: Path) -> None:
    iron = bulk("Fe")
    iron.set_initial_magnetic_moments([2.2])
    structure = pymatgen(iron)
    structure.add_site_property("magmom", [2.2])
    cell = phonopy(iron)
    cell.magnetic_moments = [2.2]
    write(tmp_path / "a.extxyz", iron)
    write(tmp_path / "a.traj", iron)
    (tmp_path / "a.json").write_text(json.dumps(structure.as_dict()))
    given = [iron, structure, structure.as_dict(), cell, (*spglib(iron), [2.2]),
             *(tmp_path / f"a.{e}" for e in ("extxyz", "traj", "json")), iron.todict()]  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # reading itself says nothing
        crystals = read(given)
    assert [kinds(c) for c in crystals] == [["MagnetismWarning"]] * len(given)
    for one in given:
        with pytest.warns(UserWarning, match="magnetic moments"):
            Crystal.from_any(one)


def test_json_in_any_nesting(tmp_path: Path) -> None:
    records = [pymatgen(a).as_dict() for a in SALTS]
    path = tmp_path / "a.json"
    for content, ids in (
        ({"structure": records[0]}, [str(path)]),
        ([[records[0]], [records[1]]], [f"{path}[0]", f"{path}[1]"]),
        ({"mp-1": records[0], "mp-2": records[1]}, ["mp-1", "mp-2"]),
        ([{"material_id": "m", "structure": records[0]}, records[1]], ["m", f"{path}[1]"]),
        ({"id": "own", **own(SALTS[0])}, ["x"]),
    ):
        path.write_text(json.dumps(content))
        assert [r.id for r in read_each(path)] == ids
        assert all(isinstance(r.crystal, Crystal) for r in read_each(path))


def test_deeply_nested_json_kills_nothing(tmp_path: Path) -> None:
    """symfc raises Python's limit of recursion beyond what the stack of a thread holds."""
    import sys

    import pyarrow as pa

    deep = "[" * 90_000 + "]" * 90_000
    (tmp_path / "a.json").write_text(deep)
    (tmp_path / "a.jsonl").write_text(deep + "\n")
    (tmp_path / "a.yaml").write_text("unit_cell: " + deep)
    (tmp_path / "a.extxyz").write_text(
        f'1\nLattice="3 0 0 0 3 0 0 0 3" occupancy="{deep}"\nCu 0 0 0\n'
    )
    former = sys.getrecursionlimit()
    try:
        sys.setrecursionlimit(100_000)
        for given in (*(tmp_path / f"a.{e}" for e in ("json", "jsonl", "yaml", "extxyz")),
                      {"structure": deep}, pa.table({"structure": [deep]})):  # fmt: skip
            with pytest.raises(E3DOSError):
                read(given)
        assert sys.getrecursionlimit() == 100_000
    finally:
        sys.setrecursionlimit(former)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.db", b"x", "not an ASE database"), ("a.traj", b"garbage", "not an ASE trajectory"),
        ("a.jsonl", b"\n \n", "no structure in this file"), ("a.json", b"[]", "empty JSON"),
        ("a.json", b"null", "not a structure"), ("a.json", b'{"cell_colour": 1}', "'cell_colour'"),
        ("a.json", b'{"@class": "Molecule", "sites": []}', "molecule"),
        ("a.json", b'{"@class": "Structure", "sites": []}', "without 'lattice'"),
        ("a.dump", b"ITEM: TIMESTEP\n0\nITEM: NUMBER OF ATOMS\n1\nITEM: BOX BOUNDS pp pp pp\n"
                   b"0 4\n0 4\n0 4\nITEM: ATOMS id type x y z\n1 1 0 0 0\n", "numbers the types"),
    ],
)  # fmt: skip
def test_files_without_a_structure_are_refused(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(E3DOSError, match=says):
        read(path)
    (reading,) = read_each(path)
    assert isinstance(reading.crystal, E3DOSError)
    assert path.read_bytes() == content  # ASE makes databases of files that are none


def test_empty_tables_are_refused(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from ase.db import connect

    pq.write_table(pa.table({"structure": pa.array([], pa.string())}), tmp_path / "a.parquet")
    with connect(tmp_path / "a.db") as database:
        del database[database.write(bulk("Cu"))]
    for name in ("a.parquet", "a.db"):
        with pytest.raises(UnreadableFileError, match="no structure in this file"):
            read(tmp_path / name)


def test_addresses_are_said_to_be_none_of_a_file() -> None:
    for address in ("https://example.org/a.cif", "s3://bucket/POSCAR"):
        with pytest.raises(UnreadableFileError, match="nothing is downloaded"):
            read(address)


def test_masses_beside_own_columns_are_used_and_fractions_refused() -> None:
    pd = pytest.importorskip("pandas")
    import pyarrow as pa

    record = own(bulk("NaCl", "rocksalt", a=5.64)) | {"numbers": [1, 17], "masses": [2.014, 35.45]}
    frame = pd.DataFrame([record])
    for given in (record, frame, pa.Table.from_pylist([record])):
        assert read(given)[0].masses[0] == pytest.approx(2.014, abs=1e-3)
    wrong = record | {"occupancies": [0.5, 1.0]}
    for given in (wrong, pd.DataFrame([wrong]), pa.Table.from_pylist([wrong])):
        with pytest.raises(CrystalError, match="occupancies"):
            read(given)
    with pytest.raises(CrystalError, match="symbols"):
        read(record | {"numbers": ["H", "Cl"]})
    heavy = jarvis(bulk("LiH", "rocksalt", a=4.08)) | {"elements": ["Li", "D"]}
    assert read(heavy)[0].masses[1] == pytest.approx(2.014, abs=1e-3)


def test_names_of_atoms_are_no_elements(tmp_path: Path) -> None:
    cell = "CRYST1    9.000    9.000    9.000  90.00  90.00  90.00 P 1\n"
    atom = "ATOM      1  CA  ALA A   1       0.000   0.000   0.000  1.00  0.00"
    path = tmp_path / "a.pdb"
    path.write_text(f"{cell}{atom}\nEND\n")
    with pytest.raises(CrystalError, match="columns 77 and 78"):
        read(path)
    path.write_text(f"{cell}{atom}           C  \nEND\n")
    assert read(path)[0].formula == "C"
    write(tmp_path / "a.gro", SALTS[0])
    with pytest.raises(CrystalError, match="no elements"):
        read(tmp_path / "a.gro")


def test_data_of_lammps_with_masses_are_read(tmp_path: Path) -> None:
    path = tmp_path / "salt.data"
    write(path, SALTS[0], format="lammps-data", masses=True)
    assert read(path)[0].formula == "NaCl"
    write(path, SALTS[0], format="lammps-data")
    with pytest.raises(CrystalError, match="Masses"):
        read(path)
