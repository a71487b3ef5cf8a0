from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from typer.testing import CliRunner

from ase_e3dos.cli import build_app
from ase_e3dos.data.calculated_label import LabelSettings, label
from ase_e3dos.data.labelled_file import stated
from ase_e3dos.data.labelled_set import read_labelled
from ase_e3dos.data.labelling import label_all
from ase_e3dos.data.lock import only_process
from ase_e3dos.errors import DataError, PotentialError, TrainingError
from ase_e3dos.potentials.choice import calculator_factory
from ase_e3dos.potentials.displacements import supercell_of
from ase_e3dos.potentials.journal import Journal
from ase_e3dos.structures.crystal import Crystal

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
        image = Atoms(s.symbols, cell=s.cell, positions=s.positions, pbc=True)
        image.calc = EMT()
        forces.append(image.get_forces())
    phonon.forces = np.array(forces)
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    return phonon


def ordered(symbols, positions, cell):
    return Atoms(symbols, scaled_positions=positions, cell=cell, pbc=True)


FACES = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]
TEN = {
    **{s: bulk(s, "fcc") for s in ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")},
    "NiAl": ordered("NiAl", [[0, 0, 0], [0.5] * 3], np.eye(3) * 2.9),
    "CuAu": ordered("CuAu", [[0, 0, 0], [0.5] * 3], np.diag([2.8, 2.8, 3.6])),
    "AuCu3": ordered("AuCu3", FACES, np.eye(3) * 3.75),
}


@pytest.mark.parametrize("name", TEN)
def test_labels_are_those_of_phonopy_by_hand(name):
    """Highest frequency, total spectrum and the share of every site, for ten crystals."""
    crystal = Crystal.from_any(TEN[name], name)
    entry = label(crystal, EMT(), SMALL)
    phonon = by_hand(crystal.to_atoms(), supercell_of(crystal, 5.0))
    phonon.run_mesh(15.0, is_mesh_symmetry=False, with_eigenvectors=True)
    frequencies = phonon.mesh.frequencies * THZ_TO_CM  # (q, modes)
    assert entry.scalars["max_wavenumber"] == pytest.approx(frequencies.max(), rel=1e-6)
    assert entry.scalars["min_wavenumber"] == pytest.approx(frequencies.min(), abs=1e-3)
    vectors = np.abs(phonon.mesh.eigenvectors.reshape(len(frequencies), -1, 3, len(TEN[name]) * 3))
    shares = (vectors**2).sum(axis=2)  # (q, sites, modes)
    of_sites = (shares * frequencies[:, None, :]).sum(axis=(0, 2)) / shares.sum(axis=(0, 2))
    centres = -395.0 + 10.0 * np.arange(200)
    ours = entry.values @ centres / entry.values.sum(axis=1)
    # Tetrahedra interpolate between the 4 x 4 x 4 points, which shifts means of sites a little.
    np.testing.assert_allclose(ours, of_sites, atol=2.0)
    np.testing.assert_allclose(entry.values.sum(axis=1) * 10, 3, rtol=1e-6)
    if frequencies.min() > -5:
        assert entry.values[:, :40].sum() == 0


def test_sites_of_an_ordered_alloy_differ():
    entry = label(Crystal.from_any(TEN["CuAu"], "CuAu"), EMT(), SMALL)
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


class Dying(EMT):
    """A potential whose library takes the process with it when it meets gold."""

    def calculate(self, atoms=None, *args, **kwargs):
        if 79 in atoms.numbers:
            os._exit(9)
        super().calculate(atoms, *args, **kwargs)


def test_a_process_that_dies_is_one_row(tmp_path):
    crystals = [metal(s) for s in ("Cu", "Au", "Al", "Ag")]
    out = tmp_path / "labels.parquet"
    assert label_all(crystals, Dying, out, SMALL, workers=2) == (3, 1)
    assert sorted(read_labelled(out).ids) == ["Ag", "Al", "Cu"]
    (row,) = map(json.loads, (tmp_path / "labels.parquet.errors.jsonl").read_text().splitlines())
    assert row["id"] == "Au"
    assert "process died" in row["error"]


def test_another_calculator_is_another_label(tmp_path):
    out = tmp_path / "labels.parquet"
    label_all([metal("Cu")], "emt", out, SMALL)
    lines: list[str] = []
    label_all([metal("Cu")], stiff, out, SMALL, report=lines.append)
    said, *lines = lines
    assert said.startswith("1 labels of labels.parquet give way to others: they differ in calc")
    assert lines == ["1/1 Cu strain 0: done"]
    assert pq.read_table(out)["provenance"].to_pylist() == [f"{__name__}:stiff"]


def test_an_edited_calculator_is_another_label(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = "from ase.calculators.emt import EMT\n\n\ndef make():\n    return EMT()\n"
    (tmp_path / "edited_potential.py").write_text(source)
    lines: list[str] = []
    for text in (source, source, source.replace("EMT()", "EMT(asap_cutoff=True)")):
        (tmp_path / "edited_potential.py").write_text(text)
        name = "edited_potential:make"
        label_all([metal("Cu")], name, tmp_path / "l.parquet", SMALL, report=lines.append)
    done = "1/1 Cu strain 0: done"
    assert lines[2].startswith("1 labels of l.parquet give way")
    assert [*lines[:2], *lines[3:]] == [done, "1 of 1 were done before", done]


def test_further_structures_and_strains_join_the_file(tmp_path):
    out = tmp_path / "labels.parquet"
    salt = Crystal.from_any(bulk("NaCl", "rocksalt", a=5.6), "salt")
    options = {"source": "emt", "licence": "CC0-1.0"}
    assert label_all([metal("Cu"), salt], "emt", out, SMALL, **options) == (1, 1)
    copper = read_labelled(out).bins[0]
    lines: list[str] = []
    assert label_all([metal("Ag")], "emt", out, SMALL, report=lines.append) == (2, 1)
    assert lines == ["2 of labels.parquet are kept", "1/1 Ag strain 0: done"]
    strained = replace(SMALL, strains=(0.01,))
    assert label_all([metal("Cu")], "emt", out, strained) == (3, 1)
    data = read_labelled(out)
    assert sorted(zip(data.ids, data.strain, strict=True)) == [
        ("Ag", 0.0), ("Cu", 0.0), ("Cu", 0.01)
    ]  # fmt: skip
    np.testing.assert_array_equal(data.bins[data.ids.index("Cu")], copper)
    about = json.loads(pq.read_schema(out).metadata[b"ase_e3dos"])
    assert (about["source"], about["licence"]) == ("emt", "CC0-1.0")
    assert about["settings"]["strains"] == [0.0, 0.01]
    assert "site_dos" in about["units"]


@pytest.mark.parametrize("workers", [1, 2])
def test_with_nothing_left_to_do_the_file_stays_as_it_is(workers, tmp_path, monkeypatch):
    """Byte for byte, on a later day and in any order: a training knows its data by their hash."""
    out = tmp_path / "labels.parquet"
    crystals = [metal(s) for s in ("Cu", "Al", "Pt", "Ag")]
    settings = replace(SMALL, strains=(0.01, 0.0))
    options = {"source": "mine", "licence": "CC0-1.0", "citation": "of mine"}
    label_all(crystals, "emt", out, settings, workers=workers, **options)
    first = out.read_bytes()
    monkeypatch.setattr("ase_e3dos.data.labelling.__version__", "99")
    for again in (crystals, crystals[::-1], crystals[1:2]):
        assert label_all(again, "emt", out, settings) == (8, 0)
        assert out.read_bytes() == first
    label_all(crystals, "emt", out, settings, licence="CC-BY-4.0")
    assert stated(out).items() >= {"licence": "CC-BY-4.0", "citation": "of mine"}.items()


def test_labels_of_two_methods_are_not_mixed(tmp_path):
    out = tmp_path / "labels.parquet"
    label_all([metal("Cu"), metal("Ag")], "emt", out, SMALL, source="emt")
    before = out.read_bytes()
    other = replace(SMALL, displacement=0.01)
    with pytest.raises(DataError, match=r"Ag.* differ in displacement \(0\.03, now 0\.01\)"):
        label_all([metal("Cu")], "emt", out, other)
    with pytest.raises(DataError, match=r"differ in calculator \(emt, now .*:stiff"):
        label_all([metal("Al")], stiff, out, SMALL)
    assert out.read_bytes() == before
    # Asked for as a whole it is labelled anew, and back again from the journal.
    assert label_all([metal("Cu"), metal("Ag")], stiff, out, SMALL) == (2, 0)
    assert read_labelled(out).source == f"{__name__}:stiff"  # not that of other labels
    lines: list[str] = []
    label_all([metal("Ag"), metal("Cu")], "emt", out, SMALL, report=lines.append)
    assert lines[0].startswith("2 labels of labels.parquet give way")
    assert lines[1:] == ["2 of 2 were done before"]
    assert label_all([metal("Al")], "emt", out, SMALL) == (3, 0)
    assert set(pq.read_table(out)["provenance"].to_pylist()) == {"emt"}


def test_one_name_is_one_structure(tmp_path):
    out = tmp_path / "labels.parquet"
    label_all([metal("Cu")], "emt", out, replace(SMALL, strains=(0.0, 0.01)))
    with pytest.raises(DataError, match="Cu already, with another composition"):
        label_all([Crystal.from_any(bulk("Ag", "fcc"), "Cu")], "emt", out, SMALL)
    with pytest.raises(DataError, match=r"Cu at strain 0\.01, which is another structure"):
        label_all([metal("Cu", a=3.7)], "emt", out, SMALL)
    lines: list[str] = []
    label_all(
        [metal("Cu", a=3.7)], "emt", out, replace(SMALL, strains=(0.0, 0.01)), report=lines.append
    )
    assert lines[0] == "Cu strain 0 takes the place of another structure's"
    assert {round(float(c.volume), 3) for c in read_labelled(out).crystals} == {
        round(3.7**3 / 4, 3), round((3.7 * 1.01) ** 3 / 4, 3)
    }  # fmt: skip


def test_what_is_no_output_is_left_alone(tmp_path):
    (tmp_path / "other.parquet").write_text("of another program")
    with pytest.raises(DataError, match="written by something else"):
        label_all([metal("Cu")], "emt", tmp_path / "other.parquet", SMALL)
    assert (tmp_path / "other.parquet").read_text() == "of another program"
    with pytest.raises(DataError, match="a folder"):
        label_all([metal("Cu")], "emt", tmp_path, SMALL)


def stiff():
    return EMT(asap_cutoff=True)


def test_equal_names_are_told_apart_and_strains_stay_together(tmp_path):
    out = tmp_path / "labels.parquet"
    crystals = [Crystal.from_any(bulk(s, "fcc"), "POSCAR") for s in ("Cu", "Ag", "Al", "Ni", "Pt")]
    settings = LabelSettings(5.0, mesh=10.0, strains=(-0.01, 0.0, 0.01))
    assert label_all(crystals, "emt", out, settings, seed=3) == (15, 0)
    data = read_labelled(out)
    assert len(set(data.ids)) == 5
    parts = {name: {data.splits[k] for k in range(15) if data.ids[k] == name} for name in data.ids}
    assert all(len(p) == 1 for p in parts.values())
    assert len(set(data.splits)) > 1


def test_one_process_at_a_time(tmp_path):
    for name in ("labels.parquet", "labels"):
        out = tmp_path / name
        with only_process(out), pytest.raises(TrainingError, match="another process"):
            label_all([metal("Cu")], "emt", out, SMALL)
        assert label_all([metal("Cu")], "emt", out, SMALL) == (1, 0)
        assert read_labelled(out).ids == ["Cu"]


def test_folders_are_locked_whatever_they_are_called(tmp_path):
    for name in ("run", "run.2"):
        with only_process(tmp_path / name, folder=True):
            assert (tmp_path / name).is_dir()
            with pytest.raises(TrainingError, match="another process"):
                only_process(tmp_path / name, folder=True).__enter__()
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingError, match="a folder is needed"):
        only_process(tmp_path / "file", folder=True).__enter__()


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
    assert data.source == "emt"
    assert data.ids == ["Ag", "Cu"]
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


@pytest.mark.parametrize("line", [b'{"key": "b", "n"', b"[1]", b'{"n": 1}', b"\xff\x00", b""])
def test_damaged_journal_line_is_named(line, tmp_path):
    path = tmp_path / "j.jsonl"
    Journal(path).add({"key": "a", "n": 1})
    with path.open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(DataError, match=r"j\.jsonl, line 2: damaged.* Delete this line"):
        Journal(path)


def test_in_parallel_as_in_one_process(tmp_path):
    crystals = [metal("Cu"), metal("Al")]
    label_all(crystals, "emt", tmp_path / "one.parquet", SMALL)
    label_all(crystals, "emt", tmp_path / "two.parquet", SMALL, workers=2)
    one, two = (read_labelled(tmp_path / f"{n}.parquet") for n in ("one", "two"))
    for a, b in zip(one.bins, two.bins, strict=True):
        np.testing.assert_array_equal(a, b)


def test_unknown_calculator():
    with pytest.raises(PotentialError, match="nosuch"):
        calculator_factory("nosuch:thing")


def test_a_potential_beside_the_structures(tmp_path):
    """The installed command, whose path does not hold the working directory."""
    (tmp_path / "potential.py").write_text("from ase.calculators.emt import EMT as make\n")
    bulk("Cu", "fcc").write(tmp_path / "Cu.cif")
    code = "from ase_e3dos.cli import main; import sys; sys.path.remove(''); main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "label", "Cu.cif", "-o", "l.parquet", "-c", "potential:make",
         "--supercell", "5", "--mesh", "10"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert read_labelled(tmp_path / "l.parquet").ids == ["Cu.cif"]


def test_command(tmp_path):
    """A folder and a file; what cannot be read is named with the reason."""
    folder = tmp_path / "structures"
    (folder / "more").mkdir(parents=True)
    (folder / "broken.cif").write_text("data_\n_cell_length_a 3")
    (folder / "notes.txt").write_text("none of the structures")
    bulk("Cu", "fcc").write(folder / "more" / "Cu.cif")
    bulk("Ni", "fcc").write(tmp_path / "Ni.cif")
    out = tmp_path / "out.parquet"
    inputs = [str(folder), str(tmp_path / "Ni.cif")]
    options = ["--supercell", "5", "--mesh", "15", "--strains", "0,0.01"]
    result = CliRunner().invoke(
        build_app(),
        ["label", *inputs, "-o", str(out), *options, "--licence", "CC0-1.0", "--citation", "mine"],
    )
    assert result.exit_code == 0, result.output
    data = read_labelled(out)
    assert len(data) == 4
    assert sorted(data.strain) == [0, 0, 0.01, 0.01]
    assert data.source == "emt"
    assert stated(out).items() >= {"licence": "CC0-1.0", "citation": "mine"}.items()
    assert "4 labelled" in result.output
    assert "1 failed" in result.output
    (broken,) = [line for line in result.output.splitlines() if line.startswith("  1 x ")]
    assert "no block of this CIF file holds coordinates" in broken
    assert broken.endswith("broken.cif)")
    rows = map(json.loads, (tmp_path / "out.parquet.errors.jsonl").read_text().splitlines())
    assert [Path(row["id"]).name for row in rows] == ["broken.cif"]
    assert "no entry is for valid or test, for 4 are too few" in result.output
    inside = ["label", str(folder), "-o", str(folder / "labels.parquet"), *options]
    with pytest.raises(DataError, match="would lie in"):
        CliRunner().invoke(build_app(), inside, catch_exceptions=False)
