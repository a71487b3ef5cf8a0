"""Training of force constants: labels are phonopy's, errors are in cm^-1, runs resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from ase.build import bulk
from ase.calculators.emt import EMT
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from typer.testing import CliRunner

from ase_e3dos.cli import build_app
from ase_e3dos.data.force_sets import ForceSets, labelled_matrices
from ase_e3dos.errors import DataError, TrainingError
from ase_e3dos.network.graph import build_graph
from ase_e3dos.network.lattice_dynamics import WAVENUMBER
from ase_e3dos.network.weights import load_weights
from ase_e3dos.plugins import get_registry
from ase_e3dos.prediction import predict
from ase_e3dos.training.config import checked
from ase_e3dos.training.force_constants import (
    ForceConstantConfig,
    new_network,
    train_force_constants,
)
from ase_e3dos.training.force_labels import MatrixEntry, entropy_loss, matrix_loss, softening_loss

METALS = {"Cu": 3.6, "Ag": 4.1, "Al": 4.0, "Ni": 3.5, "Pd": 3.9, "Pt": 3.95}


def force_set(symbol: str, a: float) -> tuple[dict[str, Any], Phonopy]:
    """A row as the published file has it, and phonopy's object of the same forces."""
    atoms = bulk(symbol, "fcc", a=a)
    cell = PhonopyAtoms(symbols=[symbol], cell=atoms.cell.array, scaled_positions=[[0.0, 0.0, 0.0]])
    phonon = Phonopy(cell, np.diag([3, 3, 3]), primitive_matrix="P")
    phonon.generate_displacements(distance=0.01, is_plusminus=False)
    whole = []
    for displaced in phonon.supercells_with_displacements:
        copy = bulk(symbol, "fcc", a=a) * (3, 3, 3)
        copy.set_positions(displaced.positions)
        copy.calc = EMT()
        whole.append(np.rint(copy.get_forces() * 1e6).astype(int))
    phonon.forces = [f * 1e-6 for f in whole]
    phonon.produce_force_constants()
    phonon.symmetrize_force_constants()
    first = phonon.dataset["first_atoms"]
    row = {
        "id": symbol,
        "split": "valid" if symbol == "Pt" else "train",
        "numbers": cell.numbers.tolist(),
        "cell": cell.cell.ravel().tolist(),
        "positions_frac": [0.0, 0.0, 0.0],
        "supercell_matrix": np.diag([3, 3, 3]).ravel().tolist(),
        "primitive_matrix": np.eye(3).ravel().tolist(),
        "displaced_atom": [d["number"] for d in first],
        "displacement": np.ravel([d["displacement"] for d in first]).tolist(),
        "forces_1e6": np.ravel(whole).tolist(),
        "dielectric": None,
        "born_charges": None,
    }
    return row, phonon


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("forces")
    rows = [force_set(symbol, a)[0] for symbol, a in METALS.items()]
    table = pa.Table.from_pylist(rows)
    for name in ("dielectric", "born_charges"):
        at = table.column_names.index(name)
        table = table.set_column(at, name, pa.array([None] * len(rows), pa.list_(pa.float64())))
    pq.write_table(table, where / "forces.parquet")
    return where


def small(**others: Any) -> ForceConstantConfig:
    settings = {
        "scalars": 16, "vectors": 8, "message_scalars": 8, "message_vectors": 4, "hidden": 16,
        "edge_hidden": 24, "heads": 1,
    }  # fmt: skip
    stages = [
        {"steps": 20, "matrices": 5, "warm_up": 5, "learning_rate": 0.005},
        {
            "steps": 10,
            "matrices": 5,
            "warm_up": 2,
            "own_dipoles": True,
            "near": 1,
            "entropy": 20.0,
            "softening": 1.0,
        },
    ]
    values = {"network": "force-constants", "settings": settings, "forces": "forces.parquet"}
    return checked(ForceConstantConfig, {**values, "stages": stages, **others}, "test")


def test_labels_are_the_frequencies_of_phonopy() -> None:
    row, phonon = force_set("Cu", 3.6)
    label = labelled_matrices(row, most=9)
    assert len(label.q) == 9
    assert np.abs(label.q[0]).max() < 1e-12
    values = np.linalg.eigvalsh(label.total.astype(complex))
    ours = np.sign(values) * np.sqrt(np.abs(values)) * WAVENUMBER
    phonon.run_qpoints(label.q @ phonon.primitive.cell.T)
    assert np.allclose(ours, phonon.qpoints.frequencies * 33.35640951981521, atol=0.05)


def test_the_loss_is_the_error_of_frequencies() -> None:
    """All masses wrong by 4 %: every frequency is 2 % off, to first order."""
    row, _ = force_set("Cu", 3.6)
    label = labelled_matrices(row, most=5)
    entry = MatrixEntry(label, build_graph(label.crystal, 6.0))
    at = np.arange(1, 5)
    label = entry.total[at], entry.modes[at]
    found = matrix_loss(entry.total[at] * 1.04, *label)
    expected = 0.02 * np.sqrt((entry.wavenumbers[at] ** 2).mean(1) + (1 / 0.02) ** 2)
    assert float(found) == pytest.approx(expected.mean(), rel=1e-3)
    assert float(matrix_loss(entry.total[at], *label)) == pytest.approx(1.0)


def test_losses_of_frequencies_are_entropy_and_imaginary_modes() -> None:
    """At high temperature S = k_B sum(1 - ln(h nu / k_B T)): 2 % in all frequencies is ln 1.02."""
    wavenumbers = torch.tensor([[150.0, 300.0, 450.0]])
    found = entropy_loss((1.02 * wavenumbers) ** 2, wavenumbers**2)
    assert float(found) == pytest.approx(np.log(1.02), rel=1e-3)
    assert float(softening_loss(wavenumbers**2)) == 0
    imaginary = torch.tensor([[-(300.0**2), 300.0**2, 300.0**2]])
    assert float(softening_loss(imaginary)) == pytest.approx(300, rel=0.06)


def test_training_learns_and_a_stopped_run_ends_as_one_that_was_not(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ase_e3dos.training.force_constants.ForceConstantTrainer.CHECK", 10)
    lines: list[str] = []
    whole = train_force_constants(small(), folder, tmp_path / "whole", lines.append)
    errors = [float(line.split("matrices=")[1].split()[0]) for line in lines if "matrices=" in line]
    assert errors[1] < 0.8 * errors[0]

    class Stopped(Exception):
        pass

    def stop(line: str) -> None:
        if "stage=0 step=20" in line:
            raise Stopped

    with pytest.raises(Stopped):
        train_force_constants(small(), folder, tmp_path / "parts", stop)
    lines.clear()
    parts = train_force_constants(small(), folder, tmp_path / "parts", lines.append)
    assert "resuming" in lines[1]
    assert parts.read_bytes() == whole.read_bytes()
    with pytest.raises(TrainingError, match="another configuration"):
        train_force_constants(small(seed=1), folder, tmp_path / "parts")

    (spectrum,) = predict([bulk("Cu", "fcc", a=3.6)], model=str(whole))
    assert spectrum.n_modes == pytest.approx(3)
    assert torch.isfinite(torch.from_numpy(np.asarray(spectrum.density))).all()


def test_the_command_line_trains_and_refuses(folder: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    sets = [
        "--set", "start_from=null", "--set", "leave_out=null", "--set", "forces=forces.parquet",
        "--set", "spectra=[]", "--set", "stages=[{steps: 2, matrices: 2}]",
        "--set", f"settings={small().settings}", "--data-dir", str(folder),
    ]  # fmt: skip
    done = runner.invoke(
        build_app(), ["train", "force-constants", "-o", str(tmp_path / "run"), *sets]
    )
    assert done.exit_code == 0, done.output
    weights = tmp_path / "run" / "weights.safetensors"
    again = weights.read_bytes()
    for name in ("weights.safetensors", "learning-curves.png"):
        (tmp_path / "run" / name).unlink()
    # The folder of the run is enough to go on with it; more steps are another run.
    folder_of_run = ["train", str(tmp_path / "run"), "--data-dir", str(folder)]
    done = runner.invoke(build_app(), folder_of_run)
    assert done.exit_code == 0, done.output
    assert "resuming in stage 0 after step 2" in done.output
    assert weights.read_bytes() == again
    done = runner.invoke(build_app(), [*folder_of_run, "--set", "stages.0.steps=3"])
    assert "stages.0.steps is 2 there and 3 here" in str(done.exception)
    refused = runner.invoke(build_app(), ["train", "force-constants", "--members", "3", *sets])
    assert isinstance(refused.exception, TrainingError) or "--members" in refused.output


def test_a_stopped_run_says_where_it_is_and_a_damaged_one_what_to_do(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ase_e3dos.training.force_trainer.ForceConstantTrainer._follow", stop)
    file = tmp_path / "run.yaml"
    file.write_text(small().model_dump_json())
    command = ["train", str(file), "--data-dir", str(folder), "-o", str(tmp_path / "run")]
    done = CliRunner().invoke(build_app(), command)
    assert done.exit_code == 130
    assert "Run the same command to go on" in done.output
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"no checkpoint")
    with pytest.raises(TrainingError, match="delete it to start anew"):
        train_force_constants(small(), folder, tmp_path / "run")


def test_a_run_goes_on_with_weights_of_its_kind_and_takes_the_trunk_of_others(
    folder: Path, tmp_path: Path
) -> None:
    first = train_force_constants(small(), folder, tmp_path / "first")
    state = load_weights(first)[1][0]
    again = new_network(small(start_from=str(first), seed=5)).state_dict()
    assert all(torch.equal(again[name], value) for name, value in state.items())
    sizes = {"n_layers": 3, "scalars": 160, "vectors": 64, "message_scalars": 40,
             "message_vectors": 20, "hidden": 224}  # fmt: skip
    taken = new_network(small(start_from="default", settings=sizes))
    theirs = load_weights(get_registry().resolve_model("default").weights_path())[1][0]
    assert torch.equal(taken.embedding.weight, theirs["embedding.weight"])
    with pytest.raises(TrainingError, match="has another trunk"):
        new_network(small(start_from="default"))


@pytest.mark.parametrize(
    ("others", "fault"),
    [
        ({"stages": [{"steps": 2, "spectra": 4}]}, "no files of them"),
        ({"stages": [{"steps": 2, "near": 1}]}, "own_dipoles"),
        ({"spectra": [{"path": "a.parquet"}], "scale": [1.0, 0.9]}, "each of the 1 files"),
        ({"spectra": [{"path": "a.parquet"}], "shares": [0.0]}, "not all zero"),
    ],
)
def test_configurations_that_would_be_read_in_another_way(
    others: dict[str, Any], fault: str
) -> None:
    with pytest.raises(TrainingError, match=fault):
        small(**others)


def test_files_that_are_no_force_sets(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        ForceSets(tmp_path / "none.parquet")
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="supercell_matrix"):
        ForceSets(tmp_path / "other.parquet")
    row, _ = force_set("Cu", 3.6)
    with pytest.raises(DataError, match="Cu: phonopy"):
        labelled_matrices({**row, "forces_1e6": row["forces_1e6"][:-3]})
