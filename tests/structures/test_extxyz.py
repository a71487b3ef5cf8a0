"""Extended XYZ files, whole, odd and damaged."""

from __future__ import annotations

import gzip
import time
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from cif_texts import amounts, kinds

from ase_e3dos.errors import CrystalError, E3DOSError, UnreadableFileError
from ase_e3dos.structures import Crystal, read, read_each
from ase_e3dos.structures.elements import DEUTERIUM_MASS
from ase_e3dos.structures.reading import count

LATTICE = 'Lattice="5.64 0 0 0 5.64 0 0 0 5.64"'
ROWS = "Na 0 0 0\nCl 2.82 2.82 2.82\n"


def frame(comment: str = LATTICE + " Properties=species:S:1:pos:R:3", rows: str = ROWS,
          n: object = 2) -> str:  # fmt: skip
    return f"{n}\n{comment}\n{rows}"


def read_text(tmp_path: Path, text: str | bytes) -> Crystal:
    path = tmp_path / "a.extxyz"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Crystal.quietly(path)


@pytest.mark.parametrize(
    "text",
    [
        frame(), frame(LATTICE), frame(rows=ROWS.replace("Na", "na").replace("Cl", "CL")),
        frame(rows="Na1 0 0 0\nCl1 2.82 2.82 2.82\n"), frame(rows="11 0 0 0\n17 2.82 2.82 2.82\n"),
        frame(LATTICE + " Properties=pos:R:3:species:S:1", "0 0 0 Na\n2.82 2.82 2.82 Cl\n"),
        frame(LATTICE + " Properties=Z:I:1:pos:R:3", "11 0 0 0\n17 2.82 2.82 2.82\n"),
        frame(LATTICE + ' pbc="T T T" energy=-3.2 name="a \\"b\\"" flag'),
        frame(LATTICE + " pbc=[True,true,T] x={1 2 3} y='z w'"), frame(rows=ROWS) + "\n\n",
        frame(LATTICE.replace('"', "'")), "\n" + frame(), frame().replace("\n", "\r\n"),
        frame(rows="Na 0.0D0 0 0\nCl 2.82d0 2.82 2.82\n"), frame(rows=ROWS).rstrip(),
        frame(LATTICE + " Properties=species:S:1:pos:R:3:forces:R:3",
              "Na 0 0 0 1 2 3\nCl 2.82 2.82 2.82 1 2 3\n"),
        frame(LATTICE.replace("Lattice", "lattice")), "\ufeff" + frame(),
        frame('Lattice="[[5.64, 0, 0], [0, 5.64, 0], [0, 0, 5.64]]"'),
        frame(LATTICE + " properties=pos:R:3:species:S:1", "0 0 0 Na\n2.82 2.82 2.82 Cl\n"),
        frame(LATTICE + " Properties=species:S:1:pos:R:3:Z:I:1",
              "Na 0 0 0 11\nCl 2.82 2.82 2.82 17\n"),
        frame(LATTICE.replace("5.64 0 0 0 5.64 0 0 0 5.64", "5.64, 0, 0, 0, 5.64, 0, 0, 0, 5.64")),
    ],
)  # fmt: skip
def test_one_crystal_in_many_files(tmp_path: Path, text: str) -> None:
    crystal = read_text(tmp_path, text)
    assert amounts(crystal) == {"Na": 1.0, "Cl": 1.0}
    assert crystal.volume == pytest.approx(5.64**3)
    assert crystal.warnings == ()


HEADER = LATTICE + " Properties={}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (frame(n=10**9), "announced"), (frame(n=3), "cut off"), (frame(n="two"), "number of atoms"),
        (frame(HEADER.format("species:S:1:pos:R:3:forces:R:999999999")), "columns|9999"),
        (frame(HEADER.format("species:S:999999999:pos:R:3")), "columns"),
        (frame(HEADER.format("species:S:1:pos:R:3:x:R:6")), "announce 10 columns"),
        (frame(HEADER.format("species:S:1:pos:R")), "triples"),
        (frame(HEADER.format("species:S:1:pos:Q:3")), "pos:Q:3"),
        (frame(HEADER.format("species:S:1:pos:R:-3")), "pos:R:-3"),
        (frame(HEADER.format("species:S:1:pos:R:2:x:R:1")), "2 columns instead of 3"),
        (frame(HEADER.format("species:S:1:x:R:3")), "no positions"),
        (frame(HEADER.format("pos:R:3:x:R:1"), "0 0 0 1\n1 1 1 1\n"), "no column of species"),
        (frame(rows="Na 0 0 0\nCl 2.82 2.82\n"), "atom 2 has 3 columns"),
        (frame(rows="Na 0 0 0\nCl 2.82 x 2.82\n"), "not a number"),
        (frame(rows="Xx 0 0 0\nCl 1 1 1\n"), "Xx"),
        (frame(rows="Na 0 0 0\nCl nan 1 1\n"), "not finite"),
        (frame('Lattice="1 2 3"'), "3 numbers"), (frame('cell="5 0 0 0 5 0 0 0 5"'), "no Lattice"),
        (frame(LATTICE + ' lattice="9 0 0 0 9 0 0 0 9"'), "two different Lattices"),
        (frame(rows="1 0 0 0\n2 2.8 2.8 2.8\n"), "types"),
        (frame(rows="1 0 0 0\n1 2.8 2.8 2.8\n"), "types"),
        (frame(HEADER.format("species:S:1:pos:R:3:pos:R:3"), "Na 0 0 0 1 1 1\n" * 2), "pos twice"),
        (frame(HEADER.format("species:S:1:pos:R:3:occ:R:1"), "Na 0 0 0 1\nCl 2.8 2.8 2.8 .5\n"),
         "column occ"),
        (frame(HEADER.format("species:S:1:pos:R:3:Z:I:1"), "Na 0 0 0 11\nCl 2.8 2.8 2.8 35\n"),
         "species and Z name different elements for atom 2"),
        (frame('Lattice="a b c"'), "Lattice"), (frame("no cell"), "not periodic"),
        (frame(LATTICE + ' pbc="T T F"'), "not periodic"), (frame(LATTICE + " pbc=perhaps"), "pbc"),
        (frame(LATTICE + ' occupancy="_JSON ' + "[" * 100000 + '"'), "occupancy"),
        (frame(LATTICE + ' occupancy="_JSON [1]"'), "occupancy"), ("", "empty"),
        ("\n\n", "no frame"), (b"\x00\x01" * 99, "number of atoms"),
        (frame(n=0, rows=""), "no atoms"), (frame(n="1" * 5000), "number of atoms"),
    ],
)  # fmt: skip
def test_damage_is_refused_at_once(tmp_path: Path, text: str | bytes, says: str) -> None:
    begun = time.monotonic()
    with pytest.raises(E3DOSError, match=says):
        read_text(tmp_path, text)
    path = tmp_path / "a.extxyz"
    with pytest.raises(E3DOSError, match=says):
        read(path)
    assert isinstance(list(read_each(path))[-1].crystal, E3DOSError)
    count(path)  # for the progress bar
    assert time.monotonic() - begun < 5


def test_a_bad_frame_stops_nothing_and_a_cut_one_is_the_last(tmp_path: Path) -> None:
    path = tmp_path / "many.extxyz"
    wide = frame(HEADER.format("species:S:1:pos:R:3:f:R:9000"))
    path.write_text(frame() + wide + frame(rows="Na 0 0 0\nCl 0 0 0.1\n") + frame() + frame(n=7))
    found = [r.crystal for r in read_each(path)]
    assert [isinstance(c, Crystal) for c in found] == [True, False, False, True, False]
    assert isinstance(found[1], CrystalError)
    assert isinstance(found[4], UnreadableFileError)
    assert count(path) is None
    path.write_text(frame() * 3)
    assert count(path) == 3


def test_what_ase_writes(tmp_path: Path) -> None:
    salt = bulk("NaCl", "rocksalt", a=5.64)
    salt.info.update(material_id="mp-1", text='with "quotes" = and spaces', n=[1, 2], b=True)
    salt.arrays["forces"] = np.zeros((2, 3))
    magnetic = bulk("Fe")
    magnetic.set_initial_magnetic_moments([2.2])
    vector = Atoms("Fe", cell=[2.8] * 3, pbc=True, magmoms=[[0, 0, 1.0]])
    heavy = bulk("LiH", "rocksalt", a=4.08)
    heavy.set_masses([6.94, 2.01355])
    half = {"0": {"Si": 0.5, "Ge": 0.5}, "1": {"Si": 1.0}}
    mixed = Atoms("Si2", cell=bulk("Si").cell, scaled_positions=[[0] * 3, [0.25] * 3], pbc=True,
                  info={"occupancy": half})  # fmt: skip
    mixed.arrays["spacegroup_kinds"] = np.arange(2)
    path = tmp_path / "all.xyz"
    write(path, [salt, magnetic, vector, heavy, mixed], format="extxyz")
    found = list(read_each(path))
    assert [r.id for r in found] == ["mp-1", *(f"{path}[{k}]" for k in range(1, 5))]
    crystals = [r.crystal for r in found]
    assert [kinds(c) for c in crystals] == [[], ["MagnetismWarning"], ["MagnetismWarning"], [], []]
    assert crystals[3].masses[1] == DEUTERIUM_MASS
    assert crystals[4].formula == "Si1.5Ge0.5"
    for atoms, crystal in zip((salt, magnetic), crystals, strict=False):
        np.testing.assert_allclose(crystal.cell, atoms.cell.array)
    with gzip.open(tmp_path / "all.xyz.gz", "wb") as stream:
        stream.write(path.read_bytes())
    assert [c.formula for c in read(tmp_path / "all.xyz.gz")] == [c.formula for c in crystals]


def test_a_column_of_occupancies_is_read(tmp_path: Path) -> None:
    text = frame(HEADER.format("species:S:1:pos:R:3:occupancy:R:1"),
                 "Na 0 0 0 .25\nK 0 0 0 .75\nCl 2.82 2.82 2.82 1\n", 3)  # fmt: skip
    crystal = read_text(tmp_path, text)
    assert amounts(crystal) == {"Na": 0.25, "K": 0.75, "Cl": 1.0}
    assert crystal.n_sites == 2


@pytest.mark.parametrize("tag", ["site_occupancies", "occupancy_factor", "fractions", "Fraction",
                                 "concentration"])  # fmt: skip
def test_fractions_under_other_names_are_refused(tmp_path: Path, tag: str) -> None:
    text = frame(HEADER.format(f"species:S:1:pos:R:3:{tag}:R:1"),
                 "Na 0 0 0 .5\nCl 2.82 2.82 2.82 1\n")  # fmt: skip
    with pytest.raises(CrystalError, match=tag):
        read_text(tmp_path, text)
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    atoms.arrays[tag] = np.array([0.5, 1.0])
    with pytest.raises(CrystalError, match=tag):
        read(atoms)
    atoms.arrays[tag] = np.ones(2)
    assert read(atoms)[0].is_ordered


def test_a_small_compressed_file_of_very_many_atoms_is_refused_by_its_header(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.extxyz.gz"
    with gzip.open(path, "wb") as stream:
        stream.write(frame(n=200_001, rows="H 0 0 0\n" * 4).encode())
    with pytest.raises(UnreadableFileError, match="more than 200000"):
        read(path)
