from __future__ import annotations

import json

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from typer.testing import CliRunner

from ase_e3dos.cli import build_app
from ase_e3dos.crystal import Crystal
from ase_e3dos.errors import DataError
from ase_e3dos.training.dataset import read_labelled
from ase_e3dos.training.journal import Journal
from ase_e3dos.training.labelling import (
    LabelSettings,
    calculator_factory,
    label,
    label_all,
    supercell_of,
)

SMALL = LabelSettings(supercell=5.0, mesh=15.0)
THZ_TO_CM = 33.3564095198


def metal(symbol, **options):
    return Crystal.from_any(bulk(symbol, "fcc", **options), symbol)


def by_hand(atoms, repeat, displacement=0.03):
    """The same with phonopy, step by step."""
    cell = PhonopyAtoms(
        numbers=atoms.numbers, cell=atoms.cell.array, scaled_positions=atoms.get_scaled_positions()
    )
    phonon = Phonopy(cell, np.diag(repeat), primitive_matrix=np.eye(3))
    phonon.generate_displacements(distance=displacement)
    forces = []
    for s in phonon.supercells_with_displacements:
        image = bulk("Cu").__class__(s.symbols, cell=s.cell, positions=s.positions, pbc=True)
        image.calc = EMT()
        forces.append(image.get_forces())
    phonon.forces = np.array(forces)
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    return phonon


@pytest.mark.parametrize("symbol", ["Cu", "Al", "Pt"])
def test_frequencies_are_those_of_phonopy_by_hand(symbol):
    crystal = metal(symbol)
    entry = label(crystal, EMT(), SMALL)
    phonon = by_hand(crystal.to_atoms(), supercell_of(crystal, 5.0))
    phonon.run_mesh(15.0, is_mesh_symmetry=False)
    frequencies = phonon.mesh.frequencies * THZ_TO_CM
    assert entry.scalars["max_wavenumber"] == pytest.approx(frequencies.max(), rel=1e-6)
    phonon.run_total_dos(use_tetrahedron_method=True, freq_pitch=1 / THZ_TO_CM)
    x, g = phonon.total_dos.frequency_points * THZ_TO_CM, phonon.total_dos.dos
    centres = -395.0 + 10.0 * np.arange(200)
    mean = np.sum(entry.values[0] * centres) / entry.values[0].sum()
    assert mean == pytest.approx(np.trapezoid(x * g, x) / np.trapezoid(g, x), abs=1.0)
    assert entry.values.sum() * 10 == pytest.approx(3)
    assert entry.values[0, :40].sum() == 0


def test_sites_of_an_ordered_alloy_differ():
    from ase import Atoms

    cell = np.diag([2.8, 2.8, 3.6])  # L1_0
    atoms = Atoms("CuAu", scaled_positions=[[0, 0, 0], [0.5] * 3], cell=cell, pbc=True)
    entry = label(Crystal.from_any(atoms, "CuAu"), EMT(), SMALL)
    np.testing.assert_allclose(entry.values.sum(axis=1) * 10, 3, rtol=1e-6)
    centres = -395.0 + 10.0 * np.arange(200)
    copper, gold = (entry.values @ centres) / entry.values.sum(axis=1)
    assert copper > gold  # the lighter atom vibrates faster


def test_expansion_softens_and_relaxation_moves_the_cell():
    strained = [label(metal("Cu"), EMT(), SMALL, s).scalars["max_wavenumber"] for s in (0.0, 0.02)]
    assert strained[1] < strained[0]
    relaxed = label(metal("Cu", a=3.8), EMT(), LabelSettings(5.0, mesh=15.0, relax="cell"))
    assert relaxed.crystal.volume == pytest.approx((3.59**3) / 4, rel=0.02)


def test_supercell_is_large_enough():
    crystal = Crystal.from_any(bulk("MgO", "rocksalt", a=4.21))
    repeat = supercell_of(crystal, 9.0)
    cell = crystal.cell * repeat[:, None]
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    assert (heights >= 9.0 - 1e-6).all()
    assert (heights < 9.0 + 3.0).all()


def broken():
    raise RuntimeError("no licence")


def test_failures_are_rows_and_nothing_is_done_twice(tmp_path):
    crystals = [metal("Cu"), metal("Ag"), Crystal.from_any(bulk("NaCl", "rocksalt", a=5.6), "salt")]
    out = tmp_path / "labels.parquet"
    lines: list[str] = []
    done, failed = label_all(crystals, "emt", out, SMALL, report=lines.append)
    assert (done, failed) == (2, 1)
    (row,) = map(json.loads, (tmp_path / "labels.parquet.errors.jsonl").read_text().splitlines())
    assert row["id"] == "salt"
    assert "error" in row
    data = read_labelled(out)
    assert data.kind == "site"
    assert data.source == "mlip"
    assert data.ids == ["Cu", "Ag"]
    again: list[str] = []
    assert label_all(crystals, "emt", out, SMALL, report=again.append) == (2, 1)
    assert again == ["3 of 3 were done before"]
    retried: list[str] = []
    label_all(crystals, "emt", out, SMALL, retry=True, report=retried.append)
    assert len(retried) == 2


def test_torn_journal_line_is_dropped(tmp_path):
    path = tmp_path / "j.jsonl"
    journal = Journal(path)
    journal.add({"key": "a", "n": 1})
    with path.open("a") as file:
        file.write('{"key": "b", "n"')
    again = Journal(path)
    assert list(again.rows) == ["a"]
    again.add({"key": "c", "n": 3})
    assert list(Journal(path).rows) == ["a", "c"]


def test_in_parallel_as_in_one_process(tmp_path):
    crystals = [metal("Cu"), metal("Al")]
    label_all(crystals, "emt", tmp_path / "one.parquet", SMALL)
    label_all(crystals, "emt", tmp_path / "two.parquet", SMALL, workers=2)
    one, two = (read_labelled(tmp_path / f"{n}.parquet") for n in ("one", "two"))
    for a, b in zip(one.bins, two.bins, strict=True):
        np.testing.assert_array_equal(a, b)


def test_unknown_calculator():
    with pytest.raises(DataError, match="nosuch"):
        calculator_factory("nosuch:thing")


def test_command(tmp_path):
    files = []
    for symbol in ("Cu", "Ni"):
        files.append(str(tmp_path / f"{symbol}.cif"))
        bulk(symbol, "fcc").write(files[-1])
    out = tmp_path / "out.parquet"
    result = CliRunner().invoke(
        build_app(),
        ["label", *files, "-o", str(out), "--supercell", "5", "--mesh", "15",
         "--strains", "0,0.01", "--source", "emt"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    data = read_labelled(out)
    assert len(data) == 4
    assert sorted(data.strain) == [0, 0, 0.01, 0.01]
    assert data.source == "emt"
