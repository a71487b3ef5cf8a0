from __future__ import annotations

import json
import lzma
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import phonopy
import pyarrow.parquet as pq
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.db import connect
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.phonon.dos import PhononDos
from typer.testing import CliRunner

from ase_e3dos.cli import build_app
from ase_e3dos.data.composition import composition_key
from ase_e3dos.data.importers import import_data, sort_out
from ase_e3dos.data.labelled_file import LabelledEntry, problem, stated
from ase_e3dos.data.labelled_set import read_labelled
from ase_e3dos.data.splits import prototype, split_names
from ase_e3dos.errors import DataError
from ase_e3dos.potentials.displacements import finite_displacements
from ase_e3dos.structures.crystal import Crystal

THZ_TO_CM = 33.3564095198
CELLS = [bulk("NaCl", "rocksalt", a=5.64), bulk("Si", "diamond", a=5.43), bulk("Cu", "fcc")]


def structure(atoms):
    return AseAtomsAdaptor.get_structure(atoms)


def gaussian(x, modes, centre=200.0, width=30.0):
    g = np.exp(-0.5 * ((x - centre) / width) ** 2)
    return modes * g / (g.sum() * (x[1] - x[0]))


def petretto_record(atoms, name, scale=1.0):
    x = -2.4 + np.arange(500.0)
    return {
        "metadata": {"material_id": name, "structure": structure(atoms).to(fmt="cif")},
        "phonon": {
            "dos_frequencies": x.tolist(),
            "ph_dos": (scale * gaussian(x, 3 * len(atoms))).tolist(),
        },
        "flags": {"has_neg_fr": False, "large_asr_break": True},
    }


def test_petretto(tmp_path):
    folder = tmp_path / "phonon"
    folder.mkdir()
    for i, atoms in enumerate(CELLS):
        record = petretto_record(atoms, f"mp-{i}")
        (folder / f"mp-{i}.json").write_text(json.dumps(record))
    (folder / "bad.json").write_text("{")
    (folder / "other.json").write_text('{"a": 1}')
    wrong = petretto_record(CELLS[0], "mp-9", scale=1.7)
    (folder / "mp-9.json").write_text(json.dumps(wrong))
    broken = petretto_record(CELLS[0], "mp-8")
    broken["metadata"]["structure"] = "data_x"
    (folder / "mp-8.json").write_text(json.dumps(broken))
    account = import_data("petretto", [folder], tmp_path / "out.parquet")
    assert account.n_taken == 3
    reasons = {r.id: r.reason for r in account.rejects}
    assert reasons["bad"] == "not valid JSON"
    assert "not a file of this collection" in reasons["other"]
    assert "integrates to" in reasons["mp-9"]
    assert "structure" in reasons["mp-8"]
    assert "4 rejected" in account.text()
    data = read_labelled(tmp_path / "out.parquet")
    assert data.kind == "raw"
    assert data.source == "dfpt"
    assert sorted(data.formulas) == ["Cu", "NaCl", "Si"]
    start, step, values = data.raw[0]
    assert (start, step) == pytest.approx((-2.4, 1.0))
    assert values.sum() == pytest.approx(3 * data.crystals[0].n_sites, rel=1e-4)
    assert data.reference["flag_large_asr_break"].all()
    about = json.loads(pq.read_schema(tmp_path / "out.parquet").metadata[b"ase_e3dos"])
    assert about["licence"] == "CC-BY-4.0"
    assert "10.1038/sdata.2018.65" in stated(tmp_path / "out.parquet")["citation"]
    assert "files" in about


def test_jarvis(tmp_path):
    x = np.arange(-300.0, 1001.0, 20.0)
    atoms = {
        "JVASP-1": CELLS[0],
        "JVASP-2": CELLS[1],
        "JVASP-3": CELLS[2],
    }
    records = [
        {"jid": "JVASP-1", "pdos_elast": gaussian(x, 6).tolist()},
        {"jid": "JVASP-2", "pdos_elast": gaussian(np.linspace(0, 1000, 200), 6).tolist()},
        {"jid": "JVASP-3", "pdos_elast": "na"},
        {"jid": "JVASP-4", "pdos_elast": gaussian(x, 6).tolist()},
        {"jid": "JVASP-1", "pdos_elast": gaussian(x, 6, 500.0).tolist()},
        "JVASP-5",
    ]
    structures = [
        {
            "jid": name,
            "atoms": {
                "lattice_mat": a.cell.tolist(),
                "coords": a.get_scaled_positions().tolist(),
                "elements": a.get_chemical_symbols(),
                "cartesian": False,
            },
        }
        for name, a in atoms.items()
    ]
    (tmp_path / "edos_pdos.json").write_text(json.dumps(records))
    with zipfile.ZipFile(tmp_path / "dft_3d.json.zip", "w") as archive:
        archive.writestr("dft_3d.json", json.dumps(structures))
    account = import_data(
        "jarvis",
        [tmp_path / "edos_pdos.json", tmp_path / "dft_3d.json.zip"],
        tmp_path / "o.parquet",
    )
    assert account.n_taken == 2
    reasons = {r.id: r.reason for r in account.rejects}
    assert "no phonon spectrum" in reasons["JVASP-3"]
    assert "no structure" in reasons["JVASP-4"]
    assert "occurred before" in reasons["JVASP-1"]
    assert reasons["edos_pdos"] == "1 of its items are not records"
    data = read_labelled(tmp_path / "o.parquet")
    assert data.kind == "sampled"
    assert data.label.shape == (2, 66)
    np.testing.assert_allclose(data.label.max(axis=1), 1)
    for row in data.label:
        assert x[row.argmax()] == 200


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for symbol in ("Cu", "Al"):
        atoms = bulk(symbol, "fcc")
        phonon = finite_displacements(Crystal.from_any(atoms), EMT(), 5.0)
        (folder / symbol).mkdir()
        file = folder / symbol / "phonopy_params.yaml"
        phonon.save(file, settings={"force_constants": True})
    # One run with the total spectrum alone.
    (folder / "Ni").mkdir()
    phonon = finite_displacements(Crystal.from_any(bulk("Ni", "fcc")), EMT(), 5.0)
    phonon.run_mesh(20.0)
    phonon.run_total_dos(freq_pitch=0.02)
    np.savetxt(
        folder / "Ni" / "total_dos.dat",
        np.column_stack([phonon.total_dos.frequency_points, phonon.total_dos.dos]),
    )
    bare = phonopy.Phonopy(phonon.unitcell, phonon.supercell_matrix, primitive_matrix=np.eye(3))
    bare.save(folder / "Ni" / "phonopy.yaml")
    return folder


def test_phonopy_folders(run_folder, tmp_path):
    account = import_data(
        "phonopy", [run_folder / "Cu", run_folder / "Al"], tmp_path / "o.parquet", source="emt"
    )
    assert account.n_taken == 2, account.text()
    data = read_labelled(tmp_path / "o.parquet")
    assert data.kind == "site"
    assert data.source == "emt"
    assert data.ids == ["Cu", "Al"]
    for bins in data.bins:
        np.testing.assert_allclose(bins.sum(axis=1), 1, rtol=1e-5)


def test_phonopy_total_dos_alone(run_folder, tmp_path):
    account = import_data("phonopy", [run_folder / "Ni"], tmp_path / "o.parquet")
    data = read_labelled(tmp_path / "o.parquet")
    assert account.n_taken == 1
    assert data.kind == "raw"
    assert data.raw[0][2].sum() == pytest.approx(3, rel=0.02)


def test_names_of_runs(run_folder, tmp_path):
    """By folder, also where the files are given; deeper runs by their path."""
    files = [run_folder / s / "phonopy_params.yaml" for s in ("Cu", "Al")]
    account = import_data("phonopy", files, tmp_path / "o.parquet")
    assert account.rejects == []
    assert read_labelled(tmp_path / "o.parquet").ids == ["Cu", "Al"]
    deep = tmp_path / "all"
    for symbol, file in zip(("Cu", "Al"), files, strict=True):
        (deep / symbol / "v0.98").mkdir(parents=True)
        shutil.copy(file, deep / symbol / "v0.98")
    (deep / "mp-0.5.yaml.xz").write_bytes(lzma.compress(files[0].read_bytes()))
    import_data("phonopy", [deep], tmp_path / "o.parquet")
    assert read_labelled(tmp_path / "o.parquet").ids == ["Al/v0.98", "Cu/v0.98", "mp-0.5"]


def test_forces_and_force_constants_beside_the_yaml(run_folder, tmp_path):
    from phonopy.file_IO import write_FORCE_CONSTANTS, write_force_constants_to_hdf5

    whole = phonopy.load(run_folder / "Cu" / "phonopy_params.yaml", log_level=0)
    for name in ("text", "hdf5", "sets"):
        (tmp_path / name).mkdir()
        whole.save(
            tmp_path / name / "phonopy_disp.yaml",
            settings={"force_sets": False, "displacements": True, "force_constants": False},
        )
    write_FORCE_CONSTANTS(whole.force_constants, str(tmp_path / "text" / "FORCE_CONSTANTS"))
    write_force_constants_to_hdf5(
        whole.force_constants, str(tmp_path / "hdf5" / "force_constants.hdf5")
    )
    sets = finite_displacements(Crystal.from_any(bulk("Cu", "fcc")), EMT(), 5.0)
    phonopy.file_IO.write_FORCE_SETS(sets.dataset, str(tmp_path / "sets" / "FORCE_SETS"))
    folders = [tmp_path / n for n in ("text", "hdf5", "sets")]
    account = import_data("phonopy", folders, tmp_path / "o.parquet")
    assert account.n_taken == 3, account.text()
    bins = read_labelled(tmp_path / "o.parquet").bins
    np.testing.assert_allclose(bins[0], bins[1], atol=1e-6)
    np.testing.assert_allclose(bins[0], bins[2], atol=0.02)


def test_runs_without_yaml(tmp_path):
    """SPOSCAR and forces are a run; POSCAR does not say the supercell; nothing vanishes."""
    from phonopy.interface.vasp import write_vasp

    phonon = finite_displacements(Crystal.from_any(bulk("Cu", "fcc")), EMT(), 5.0)
    runs = tmp_path / "runs"
    for name in ("yaml", "supercell", "cell", "forces", "damaged"):
        (runs / name).mkdir(parents=True)
        phonopy.file_IO.write_FORCE_SETS(phonon.dataset, str(runs / name / "FORCE_SETS"))
    options = {"force_sets": False, "displacements": True, "force_constants": False}
    phonon.save(runs / "yaml" / "phonopy_disp.yaml", settings=options)
    write_vasp(str(runs / "supercell" / "SPOSCAR"), phonon.supercell)
    write_vasp(str(runs / "cell" / "POSCAR"), phonon.unitcell)
    (runs / "damaged" / "POSCAR").write_text("")
    (runs / "vasp" / "disp-001").mkdir(parents=True)
    (runs / "vasp" / "disp-001" / "OUTCAR").write_text("")
    account = import_data("phonopy", [runs], tmp_path / "o.parquet")
    reasons = {r.id: r.reason for r in account.rejects}
    assert set(reasons) == {"cell", "damaged", "forces", "vasp"}
    assert "malformed" in reasons["damaged"]
    n = len(phonon.supercell)
    assert f"a supercell of {n} atoms, POSCAR has 1: add phonopy_disp.yaml" in reasons["cell"]
    assert "no SPOSCAR" in reasons["forces"]
    assert "no phonopy run" in reasons["vasp"]
    data = read_labelled(tmp_path / "o.parquet")
    assert data.ids == ["supercell", "yaml"]
    assert [c.n_sites for c in data.crystals] == [1, 1]
    np.testing.assert_allclose(data.bins[0], data.bins[1], atol=1e-3)
    write_vasp(str(runs / "cell" / "POSCAR"), phonon.supercell)
    given = [runs / "yaml", runs / "vasp", runs / "cell" / "FORCE_SETS"]
    account = import_data("phonopy", given, tmp_path / "o.parquet")
    assert [r.id for r in account.rejects] == ["vasp"]
    assert read_labelled(tmp_path / "o.parquet").ids == ["yaml", "cell"]


@pytest.mark.parametrize("kind", ["petretto", "jarvis", "phonopy", "pymatgen", "ase-db"])
def test_whatever_gives_nothing_is_named(kind, tmp_path):
    """A folder without data, text, damaged archives, JSON of something else."""
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "text.txt").write_text("no data")
    (tmp_path / "empty.json").write_text("")
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "numbers.json").write_text("[1, 2]")
    (tmp_path / "cut.json.gz").write_bytes(b"\x1f\x8b\x08\x00rest")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "text")
    whole = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "b.zip").write_bytes(b"PK\x03\x04" + b"\xff" * 26 + whole[30:])
    (tmp_path / "x.db").write_bytes(b"not a database")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(DataError, match=path.name.split(".")[0]):
            import_data(kind, [path], tmp_path / "o.parquet")
    with pytest.raises(DataError, match="a folder"):
        import_data(kind, [tmp_path / "x.db"], tmp_path / "folder")


def test_nothing_is_taken_from_the_working_directory(run_folder, tmp_path, monkeypatch):
    """phonopy looks there for FORCE_SETS and BORN; a run is only what lies in its own folder."""
    run = tmp_path / "runs" / "Cu"
    run.mkdir(parents=True)
    phonon = finite_displacements(Crystal.from_any(bulk("Cu", "fcc")), EMT(), 5.0)
    bare = phonopy.Phonopy(phonon.unitcell, phonon.supercell_matrix, primitive_matrix=np.eye(3))
    bare.save(run / "phonopy.yaml")
    phonopy.file_IO.write_FORCE_SETS(phonon.dataset, str(tmp_path / "FORCE_SETS"))
    (tmp_path / "BORN").write_text("not charges")
    shutil.copytree(run_folder / "Al", tmp_path / "runs" / "Al")
    monkeypatch.chdir(tmp_path)
    account = import_data("phonopy", [Path("runs")], tmp_path / "o.parquet")
    (reject,) = account.rejects
    assert (reject.id, reject.reason) == ("Cu", "neither force constants nor total_dos.dat")
    assert read_labelled(tmp_path / "o.parquet").ids == ["Al"]
    (run / "FORCE_SETS").write_bytes((tmp_path / "FORCE_SETS").read_bytes())
    assert import_data("phonopy", [Path("runs")], tmp_path / "o.parquet").n_taken == 2


def test_one_kind_of_label_a_file(run_folder, tmp_path):
    account = import_data("phonopy", [run_folder], tmp_path / "o.parquet")
    assert account.n_taken == 2
    (reject,) = account.rejects
    assert reject.id == "Ni"
    assert "raw labels, while most entries have site ones" in reject.reason
    written = (tmp_path / "o.parquet.rejected.jsonl").read_text().splitlines()
    assert [json.loads(line)["id"] for line in written] == ["Ni"]


def test_damaged_archive(run_folder, tmp_path):
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for symbol in ("Cu", "Al"):
            archive.add(run_folder / symbol / "phonopy_params.yaml", f"{symbol}.yaml")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 4])
    with pytest.raises(DataError, match=r"the archive is damaged .*a\.tar\.gz"):
        import_data("phonopy", [path], tmp_path / "o.parquet")


def test_a_damaged_member_of_an_archive_is_one_reject(tmp_path):
    path = tmp_path / "phonon.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for i, atoms in enumerate(CELLS):
            archive.writestr(f"x-{i}.json", json.dumps(record_of("petretto", atoms, f"x-{i}")))
        start = archive.getinfo("x-1.json").header_offset
    data = bytearray(path.read_bytes())
    data[start + 200 : start + 240] = bytes(40)
    path.write_bytes(data)
    account = import_data("petretto", [path], tmp_path / "o.parquet")
    assert read_labelled(tmp_path / "o.parquet").ids == ["x-0", "x-2"]
    assert [r.id for r in account.rejects] == ["x-1"]


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archives_of_yaml_files(kind, run_folder, tmp_path):
    path = tmp_path / f"archive.{kind}"
    files = {f"{s}.yaml": run_folder / s / "phonopy_params.yaml" for s in ("Cu", "Al")}
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, file in files.items():
                archive.write(file, name)
            archive.writestr("broken.yaml", "a: [")
    else:
        with tarfile.open(path, "w:gz") as archive:
            for name, file in files.items():
                archive.add(file, name)
    account = import_data("phonopy", [path], tmp_path / "o.parquet")
    assert account.n_taken == 2
    assert len(account.rejects) == (kind == "zip")


def test_pymatgen(tmp_path):
    x = np.linspace(0, 15, 400)
    g = np.exp(-0.5 * ((x - 6) / 0.8) ** 2)
    good = {
        "id": "a",
        "structure": structure(CELLS[0]).as_dict(),
        "ph_dos": PhononDos(x, 6 * g / np.trapezoid(g, x)).as_dict(),
    }
    lost = PhononDos(x, g).as_dict()
    (tmp_path / "many.json").write_text(json.dumps([good, lost]))
    account = import_data("pymatgen", [tmp_path / "many.json"], tmp_path / "o.parquet")
    assert account.n_taken == 1
    assert "without a structure" in account.rejects[0].reason
    data = read_labelled(tmp_path / "o.parquet")
    start, step, values = data.raw[0]
    mean = (start + step * np.arange(len(values))) @ values / values.sum()
    assert mean == pytest.approx(6 * THZ_TO_CM, rel=0.01)


def test_ase_db(tmp_path):
    """A row whose data are not a spectrum does not take the later ones with it."""
    db = connect(tmp_path / "x.db")
    x = np.arange(0.0, 500.0, 2.0)
    for atoms in CELLS:
        density = gaussian(x, 3 * len(atoms)) * THZ_TO_CM
        wavenumbers = "0 to 500" if atoms is CELLS[1] else x
        data = {"e3dos_phonon_wavenumbers": wavenumbers, "e3dos_phonon_dos": density}
        db.write(atoms, name=atoms.get_chemical_formula(), data=data)
    db.write(CELLS[2])
    account = import_data("ase-db", [tmp_path / "x.db"], tmp_path / "o.parquet")
    assert read_labelled(tmp_path / "o.parquet").ids == ["ClNa", "Cu"]
    malformed, without = account.rejects
    assert malformed.id == "Si2"
    assert "malformed" in malformed.reason
    assert "no spectrum" in without.reason


def record_of(kind, atoms, name):
    """A good record of a kind, as its files have them."""
    x = -2.4 + np.arange(500.0)
    if kind == "petretto":
        thermal = {"temperatures": [0.0, 300.0], "heat_capacity": [0.0, 40.0]}
        return {**petretto_record(atoms, name), "thermodynamic": thermal}
    if kind == "jarvis":
        cell = {
            "lattice_mat": atoms.cell.tolist(),
            "coords": atoms.get_scaled_positions().tolist(),
            "elements": atoms.get_chemical_symbols(),
        }
        values = gaussian(np.arange(-300.0, 1001.0, 20.0), 6).tolist()
        return {"jid": name, "pdos_elast": values, "atoms": cell}
    density = gaussian(x, 3 * len(atoms)) * THZ_TO_CM
    if kind == "ase-db":
        return {"phonon_wavenumbers": x.tolist(), "phonon_dos": density.tolist()}
    dos = {"frequencies": (x / THZ_TO_CM).tolist(), "densities": density.tolist()}
    return {"id": name, "structure": structure(atoms).as_dict(), "ph_dos": dos}


def written(kind, folder, records):
    """The records, of `CELLS`, in a file or folder of a kind."""
    if kind == "ase-db":
        with connect(folder / "x.db") as db:
            for atoms, (name, record) in zip(CELLS, records.items(), strict=True):
                db.write(atoms, name=name, data=record)
        return folder / "x.db"
    if kind == "petretto":
        (folder / "files").mkdir()
        for name, record in records.items():
            (folder / "files" / f"{name}.json").write_text(json.dumps(record))
        return folder / "files"
    (folder / "x.json").write_text(json.dumps(list(records.values())))
    return folder / "x.json"


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("petretto", "metadata", None),
        ("petretto", "metadata.structure", 7),
        ("petretto", "phonon", None),
        ("petretto", "phonon.dos_frequencies", None),
        ("petretto", "phonon.dos_frequencies", 5.0),
        ("petretto", "phonon.dos_frequencies", [[0.0], [1.0]] * 250),
        ("petretto", "phonon.ph_dos", 1.0),
        ("petretto", "flags", ["has_neg_fr"]),
        ("petretto", "thermodynamic.temperatures", ["cold", "warm"]),
        ("petretto", "thermodynamic.heat_capacity", [0.0]),
        ("petretto", "thermodynamic.heat_capacity", None),
        ("jarvis", "pdos_elast", [{}] * 66),
        ("jarvis", "pdos_elast", [[[1.0]]] * 66),
        ("jarvis", "pdos_elast", [None] * 200),
        ("jarvis", "atoms.lattice_mat", None),
        ("jarvis", "atoms", [1]),
        ("pymatgen", "ph_dos", {"densities": [1.0] * 500}),
        ("pymatgen", "ph_dos.frequencies", None),
        ("pymatgen", "ph_dos.densities", 1.0),
        ("pymatgen", "structure", [1]),
        ("ase-db", "phonon_wavenumbers", None),
        ("ase-db", "phonon_wavenumbers", "text"),
        ("ase-db", "phonon_dos", {"a": 1}),
    ],
)
def test_a_malformed_record_is_one_reject(kind, key, value, tmp_path):
    records = {f"x-{i}": record_of(kind, atoms, f"x-{i}") for i, atoms in enumerate(CELLS)}
    *outer, last = key.split(".")
    inside = records["x-1"]
    for name in outer:
        inside = inside[name]
    inside[last] = value
    account = import_data(kind, [written(kind, tmp_path, records)], tmp_path / "o.parquet")
    assert read_labelled(tmp_path / "o.parquet").ids == ["x-0", "x-2"]
    (reject,) = account.rejects
    assert reject.id == "x-1"
    assert reject.reason


def test_problems_are_named():
    crystal = Crystal.from_any(CELLS[0])
    x = np.arange(0.0, 500.0)
    good = gaussian(x, 6)
    assert problem(LabelledEntry("a", crystal, good)) is None
    cases = {
        "finite": np.where(x == 200, np.nan, good),
        "no weight": 0 * good,
        "negative": np.where(x > 300, -0.1, good),
        "integrates": 2 * good,
    }
    for word, values in cases.items():
        assert word in problem(LabelledEntry("a", crystal, values)), word
    assert "grid" in problem(LabelledEntry("a", crystal, good, step=30.0))
    assert "not 3" in problem(LabelledEntry("a", crystal, np.full((2, 200), 0.1)))
    entries = [LabelledEntry("a", crystal, np.array(["x"])), LabelledEntry("b", crystal, good)]
    taken, (reject,) = sort_out(iter(entries))
    assert ([e.id for e in taken], reject.id) == (["b"], "a")
    assert "malformed" in reject.reason


def test_atoms_on_top_of_each_other_are_rejected():
    atoms = bulk("NaCl", "rocksalt", a=5.64)
    atoms.positions[1] = atoms.positions[0] + [0.3, 0, 0]
    x = np.arange(0.0, 500.0)
    assert "0.30 Å apart" in problem(LabelledEntry("a", Crystal.from_any(atoms), gaussian(x, 6)))


def test_the_account_counts_reasons_that_differ_in_numbers(tmp_path):
    for i, scale in enumerate((1.0, 1.5, 1.7, 2.0, 2.5)):
        record = petretto_record(CELLS[0], f"mp-{i}", scale)
        (tmp_path / f"mp-{i}.json").write_text(json.dumps(record))
    text = import_data("petretto", [tmp_path], tmp_path / "o.parquet").text()
    assert "1 entries" in text
    assert (
        "4 x the spectrum integrates to 9.000, not 3N = 6 (to 5 %) (mp-1, mp-2, mp-3, ...)" in text
    )


def test_empty_splits_are_no_surprise(tmp_path):
    """Ten volumes of one compound have one composition; ten compounds have a split each."""
    out = tmp_path / "o.parquet"
    cells = [bulk("Si", "diamond", a=5.3 + 0.02 * i) for i in range(10)]
    for i, atoms in enumerate(cells):
        record = petretto_record(atoms, f"mp-{i}")
        (tmp_path / f"mp-{i}.json").write_text(json.dumps(record))
    text = import_data("petretto", [tmp_path], out).text()
    assert "no entry is for valid or test" in text
    assert "--split random" in text
    assert "warning" not in import_data("petretto", [tmp_path], out, by="random").text()
    text = import_data("petretto", [tmp_path / "mp-1.json"], out, by="random").text()
    assert "no entry is for valid or test, for 1 are too few" in text


def test_nothing_usable(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(DataError, match="nothing usable"):
        import_data("petretto", [tmp_path / "x.json"], tmp_path / "o.parquet")
    with pytest.raises(DataError, match="no such kind"):
        import_data("vasp", [tmp_path / "x.json"], tmp_path / "o.parquet")


def test_splits():
    cells = [
        bulk(f"{m}{x}", "rocksalt", a=a)
        for m in ("Na", "K", "Li") for x in ("Cl", "Br") for a in (5.2, 5.4, 5.6, 5.8)
    ]  # fmt: skip
    cells += [bulk(s, "fcc") for s in ("Cu", "Ag", "Al", "Ni")]
    crystals = [Crystal.from_any(a) for a in cells]
    assert split_names(crystals, seed=1) == split_names(crystals, seed=1)
    assert split_names(crystals, seed=1) != split_names(crystals, seed=2)
    names = split_names(crystals, "composition")
    by_key = {}
    for crystal, name in zip(crystals, names, strict=True):
        by_key.setdefault(composition_key(crystal), set()).add(name)
    assert all(len(v) == 1 for v in by_key.values())
    assert len({prototype(c) for c in crystals}) == 2  # rock salt and fcc
    names = split_names(crystals, "prototype")
    assert len(set(names[:24])) == len(set(names[24:])) == 1
    with pytest.raises(DataError, match="add up"):
        split_names(crystals, shares={"train": 0.5})
    with pytest.raises(DataError, match="split-file"):
        split_names(crystals, "paper")


def test_the_papers_split(data_dir, tmp_path):
    known = data_dir / "raw.parquet"
    data = read_labelled(known)
    names = split_names(data.crystals, "paper", ids=[*data.ids[:-1], "new"], paper=known)
    assert names == [*data.splits[:-1], "test"]
    for name in (data.ids[0], "mp-new"):
        (tmp_path / f"{name}.json").write_text(json.dumps(petretto_record(CELLS[0], name)))
    out = tmp_path / "o.parquet"
    account = import_data("petretto", [tmp_path], out, by="paper", split_file=known)
    assert "1 unknown to the split file, now test (mp-new)" in account.text()
    assert set(read_labelled(out).splits) == {data.splits[0], "test"}
    for of_none in (known, tmp_path / "mp-new.json"):
        with pytest.raises(DataError, match=r"knows none of the 1 ids \(mp-new|not a Parquet"):
            import_data("petretto", [tmp_path / "mp-new.json"], out, by="paper", split_file=of_none)


def test_commands(tmp_path, monkeypatch):
    monkeypatch.setattr("ase_e3dos.data.importers.REPORT_EVERY", 0.0)
    record = [{"id": "a", **petretto_record(CELLS[0], "a")}]
    (tmp_path / "a.json").write_text(json.dumps(record[0]))
    out = str(tmp_path / "o.parquet")
    runner = CliRunner()
    result = runner.invoke(
        build_app(),
        ["data", "import", "petretto", str(tmp_path / "a.json"), "-o", out, "--citation", "mine"],
    )
    assert result.exit_code == 0, result.output
    assert "1 entries" in result.stdout
    assert "1 read, 0 of them rejected; the last was a" in result.output
    result = runner.invoke(build_app(), ["data", "show", out])
    assert result.exit_code == 0, result.output
    assert "raw labels, source dfpt" in result.output
    assert "citation: mine" in result.output
