"""Archives of the phonon database, made from its own forces, give the spectra of the data file."""

from __future__ import annotations

import lzma
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from ase.data import chemical_symbols
from phonopy import Phonopy
from phonopy.file_IO import write_FORCE_SETS
from phonopy.interface.vasp import write_vasp
from phonopy.structure.atoms import PhonopyAtoms

from ase_e3dos.data.importers import import_data
from ase_e3dos.data.labelled_set import read_labelled


def archive(row: dict[str, Any], folder: Path) -> Path:
    """A row of forces as the database publishes it."""
    name = f"{row['id']}-20180417"
    inside = folder / name
    inside.mkdir()
    matrix = np.reshape(row["supercell_matrix"], (3, 3))
    axes = np.reshape(row["primitive_matrix"], (3, 3))
    cell = PhonopyAtoms(
        symbols=[chemical_symbols[z] for z in row["numbers"]],
        cell=np.reshape(row["cell"], (3, 3)),
        scaled_positions=np.reshape(row["positions_frac"], (-1, 3)),
    )
    phonon = Phonopy(cell, supercell_matrix=matrix, primitive_matrix=axes, log_level=0)
    n = len(phonon.supercell)
    forces = np.reshape(row["forces_1e6"], (-1, n, 3)) * 1e-6
    displaced = zip(
        row["displaced_atom"], np.reshape(row["displacement"], (-1, 3)), forces, strict=True
    )
    first = [{"number": int(i), "displacement": u, "forces": f} for i, u, f in displaced]
    write_FORCE_SETS({"natom": n, "first_atoms": first}, filename=str(inside / "FORCE_SETS"))
    write_vasp(str(inside / "POSCAR"), cell)
    numbers = " ".join(str(v) for v in matrix.ravel())
    parts = " ".join(f"{v:.12f}" for v in axes.ravel())
    (inside / "phonopy.conf").write_text(f"DIM = {numbers}\nPRIMITIVE_AXIS = {parts}\n")
    if row["dielectric"] is not None:
        lines = [row["dielectric"], *np.reshape(row["born_charges"], (-1, 9))]
        text = "\n".join(" ".join(f"{v:.10f}" for v in line) for line in lines)
        (inside / "BORN").write_text("14.400\n" + text + "\n")
    file = folder / f"{name}.tar.lzma"
    with (
        lzma.open(file, "w", format=lzma.FORMAT_ALONE) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        tar.add(inside, arcname=name)
    for path in inside.iterdir():
        path.unlink()
    inside.rmdir()
    return file


@pytest.fixture(scope="module")
def imported(real_data: Path, tmp_path_factory: pytest.TempPathFactory):
    """An insulator whose primitive cell is smaller than its unit cell, and one without charges."""
    forces = pq.read_table(real_data / "dft_phonondb_forces.parquet")
    of_cell = np.array([len(z) for z in forces["numbers"].to_pylist()])
    polar = np.array([d is not None for d in forces["dielectric"].to_pylist()])
    of_primitive = forces["n_sites_primitive"].to_numpy()
    rows = [
        int(np.argmin(np.where(chosen, of_cell, 1000)))
        for chosen in (polar & (of_primitive < of_cell), ~polar)
    ]
    folder = tmp_path_factory.mktemp("phonondb")
    for row in forces.take(rows).to_pylist():
        archive(row, folder)
    output = folder / "made.parquet"
    account = import_data("phonondb", [folder], output)
    assert not account.rejects
    table = pq.read_table(real_data / "dft_phonondb.parquet")
    ids = table["id"].to_pylist()
    made = pq.read_table(output).to_pylist()
    assert sorted(r["id"] for r in made) == sorted(forces["id"][i].as_py() for i in rows)
    return made, [table.slice(ids.index(r["id"]), 1).to_pylist()[0] for r in made], output


def test_spectra_are_those_of_the_data(imported) -> None:
    for made, known in zip(*imported[:2], strict=True):
        n = len(made["numbers"])
        assert sorted(made["numbers"]) == sorted(known["numbers"])
        total, reference = (np.reshape(r["site_dos"], (n, -1)).sum(0) for r in (made, known))
        wide = max(len(total), len(reference))
        total, reference = (np.pad(v, (0, wide - len(v))) for v in (total, reference))
        distance = 10 * np.abs((total / total.sum() - reference / reference.sum()).cumsum()).sum()
        assert distance < 0.5  # cm^-1: meshes differ
        assert made["imaginary_fraction"] == pytest.approx(known["imaginary_fraction"], abs=1e-3)
        assert made["born_charges"] == known["born_charges"]


def test_sound_and_tensors_are_those_of_the_data(imported) -> None:
    compared = 0
    for made, known in zip(*imported[:2], strict=True):
        if known["sound_velocity"] is not None:
            assert made["sound_velocity"] == pytest.approx(known["sound_velocity"], rel=0.02)
        if known["imaginary_fraction"] < 1e-3:
            ours, theirs = (
                np.reshape(r["u_tensor"], (3, -1, 6))[:, :, :3].sum((1, 2)) for r in (made, known)
            )
            # The longest waves of solid argon move it most, and are as many as the mesh has.
            np.testing.assert_allclose(ours, theirs, rtol=0.05)
            compared += 1
    assert compared


def test_trainings_read_it(imported) -> None:
    labelled = read_labelled(imported[2])
    assert labelled.source == "phonondb"
    assert labelled.origin.licence == "CC-BY-4.0"
    assert labelled.sound_velocity is not None
    assert labelled.log_displacements is not None
