"""Files that try to run code, to write elsewhere, or to use up the machine."""

from __future__ import annotations

import json
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ase.build import bulk
from ase.io import write

from ase_e3dos.errors import CrystalError, E3DOSError, UnreadableFileError, WeightsError
from ase_e3dos.network.weights import load_weights, read_header
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures.crystal import Crystal, read_crystals


class Bomb:
    """Makes a file where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "the-bomb-went-off"


@pytest.mark.parametrize("name", ["m.safetensors", "m.pt", "m.ckpt", "m.pkl"])
def test_pickles_are_no_weights(tmp_path: Path, marker: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(pickle.dumps({"state": Bomb(marker)}))
    for read in (load_weights, read_header, Predictor):
        with pytest.raises(WeightsError):
            read(path)
    assert not marker.exists()


def test_torch_checkpoints_are_no_weights(tmp_path: Path, marker: Path) -> None:
    import torch

    path = tmp_path / "m.safetensors"
    torch.save({"state": Bomb(marker)}, path)
    with pytest.raises(WeightsError):
        Predictor(path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "name", ["a.traj", "a.json", "a.cif", "POSCAR", "a.pkl", "a.pckl", "a.py", "a.db", "a.yaml"]
)
def test_pickles_are_no_structures(tmp_path: Path, marker: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Bomb(marker)))
    with pytest.raises(E3DOSError):
        list(read_crystals(path))
    assert not marker.exists()


def test_python_is_not_executed(tmp_path: Path, marker: Path) -> None:
    path = tmp_path / "structure.py"
    path.write_text(f"import os; os.mkdir({str(marker)!r})\natoms = None\n")
    with pytest.raises(E3DOSError):
        list(read_crystals(path))
    assert not marker.exists()


def test_json_imports_no_module(tmp_path: Path, marker: Path, monkeypatch: Any) -> None:
    """Names of classes in pymatgen's JSON are not followed to modules of somebody's choice."""
    (tmp_path / "hostile_module.py").write_text(f"import os; os.mkdir({str(marker)!r})\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    evil = {"@module": "hostile_module", "@class": "Structure", "lattice": {}, "sites": []}
    for content in (evil, [evil], {"structure": evil}, {"lattice": evil, "sites": [evil]}):
        path = tmp_path / "s.json"
        path.write_text(json.dumps(content))
        with pytest.raises(E3DOSError):
            list(read_crystals(path))
    assert not marker.exists()


def test_yaml_makes_no_objects(tmp_path: Path, marker: Path) -> None:
    path = tmp_path / "phonopy.yaml"
    path.write_text(f"unit_cell: !!python/object/apply:os.mkdir ['{marker}']\n")
    with pytest.raises(E3DOSError):
        list(read_crystals(path))
    assert not marker.exists()


@pytest.mark.parametrize(
    "name", ["../../escape", "/tmp/e3dos-escape", "..", "a/../../b", "con\x01trol", "a" * 300]
)
def test_names_in_files_do_not_escape_the_output(
    tmp_path: Path, run_cli: Callable[..., Any], default_model: str, name: str
) -> None:
    inside = tmp_path / "work" / "out"
    inside.mkdir(parents=True)
    salt = bulk("NaCl", "rocksalt", a=5.64)
    salt.info.update({"name": name, "id": name, "config_type": name})
    source = tmp_path / "salt.extxyz"
    write(source, [salt, salt])
    before = {p for p in tmp_path.rglob("*") if inside not in p.parents}
    code, _, errors = run_cli("predict", source, "-o", inside)
    assert code == 0, errors
    assert {p for p in tmp_path.rglob("*") if inside not in p.parents} == before
    assert len(list(inside.iterdir())) == 2


def test_headers_cannot_ask_for_the_whole_memory(tmp_path: Path) -> None:
    """Sizes in a header are compared with the tensors before anything of that size is made."""
    from fuzz import tiny_weights
    from safetensors.torch import load_file, save_file

    from ase_e3dos.network import weights

    path = tiny_weights(tmp_path / "w.safetensors")
    content = json.loads(_metadata(path)["ase_e3dos"])
    tensors = load_file(path)
    for key, value in {"scalars": 10**6, "hidden": 10**9, "n_layers": 10**6, "l_max": 50}.items():
        forged = {**content, "settings": {**content["settings"], key: value}}
        save_file(
            tensors,
            path,
            {
                "ase_e3dos": json.dumps(forged, sort_keys=True),
                "sha256": weights._digest(forged, tensors),
            },
        )
        with pytest.raises(WeightsError):
            Predictor(path)


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as handle:
        return dict(handle.metadata())


def test_columns_without_end_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.extxyz"
    write(path, bulk("NaCl", "rocksalt", a=5.64))
    path.write_text(path.read_text().replace("species:S:1", "species:S:999999999"))
    with pytest.raises(E3DOSError, match="Properties"):
        list(read_crystals(path))


def test_weights_cut_anywhere_are_refused(tmp_path: Path) -> None:
    from fuzz import tiny_weights

    path = tiny_weights(tmp_path / "w.safetensors")
    data = path.read_bytes()
    for share in (0.0, 0.001, 0.1, 0.5, 0.99):
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(WeightsError):
            Predictor(path)
    one = bytearray(data)
    one[-10] ^= 1
    path.write_bytes(one)
    with pytest.raises(WeightsError, match="checksum"):
        Predictor(path)


@pytest.mark.parametrize("lines", [3, 6, 8, 9])
def test_a_cut_file_is_told_in_words_of_the_file(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "POSCAR"
    write(path, bulk("GaAs", "zincblende", a=5.65), format="vasp")
    path.write_text("\n".join(path.read_text().splitlines()[:lines]))
    with pytest.raises(E3DOSError, match="complete") as caught:
        list(read_crystals(path))
    assert not re.search("broadcast|index|unpack|shape", str(caught.value))


def test_a_symbolic_loop_is_an_unreadable_file(tmp_path: Path) -> None:
    loop = tmp_path / "loop.cif"
    loop.symlink_to(loop)
    with pytest.raises(E3DOSError):
        list(read_crystals(loop))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.cif"
    os.mkfifo(pipe)
    for path in (pipe, Path(os.devnull)):
        with pytest.raises(UnreadableFileError, match="not a file"):
            list(read_crystals(path))


@pytest.mark.parametrize("length", [1e5, 1e6, 1e12, 1e100])
def test_gigantic_cells_are_refused(length: float) -> None:
    """Neighbour searches of compiled code may end the process there."""
    with pytest.raises(CrystalError, match="Check its unit"):
        Crystal(
            [[length, 0, 0], [0, 3, 0], [0, 0, 3]],
            [[0, 0, 0]],
            species_site=[0],
            species_number=[29],
        )


@pytest.mark.parametrize(
    ("cell", "n_edges"),  # counted by hand: 316 is Gauss's circle of radius 10 without its centre
    [
        ([[9999, 0, 0], [0, 3, 0], [0, 0, 3]], 8),
        ([[9999, 0, 0], [0, 0.5, 0], [0, 0, 0.5]], 316),
        ([[9999, 0, 0], [0, 9999, 0], [0, 0, 0.5]], 20),
        ([[9999, 0, 0], [9000, 3, 0], [0, 0, 3]], 2),
        ([[9999, 9999, 9999], [0, 3, 0], [0, 0, 3]], 8),
    ],
)
def test_the_largest_cells_are_survived(cell: Any, n_edges: int) -> None:
    """In a process of its own, so that a signal is seen as such."""
    code = (
        "from ase_e3dos.structures.crystal import Crystal\n"
        "from ase_e3dos.network.graph import build_graph\n"
        f"crystal = Crystal({cell}, [[0, 0, 0]], species_site=[0], species_number=[29])\n"
        "print(build_graph(crystal, 5.0).n_edges)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout.strip()) == (0, str(n_edges)), done.stderr
