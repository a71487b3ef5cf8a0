"""The figures of the data, of many examples, of a screening, of table S2 and of measurements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ase.build import bulk, make_supercell
from e3dos_paper.command_line import paper
from e3dos_paper.data_figures import mean_spectrum
from e3dos_paper.known_crystals import KnownCrystals
from e3dos_paper.measured_spectra import MATERIALS, measured_crystals
from e3dos_paper.overview import TABLE_S3, network_layers, shipped_network
from e3dos_paper.table_s2 import confined
from typer.testing import CliRunner

from ase_e3dos import screen
from ase_e3dos.data.labelled_set import read_labelled
from ase_e3dos.errors import DataError, PredictionError
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.structures.crystal import Crystal


def test_figures_of_the_data(data_dir, tmp_path):
    out = tmp_path / "f"
    command = ["data", "--data", str(data_dir / "raw.parquet"), "-o", str(out)]
    result = CliRunner().invoke(paper, command)
    assert result.exit_code == 0, result.output
    assert (out / "figure-s3.png").stat().st_size > 5000
    assert (out / "figure-s6.png").stat().st_size > 5000
    sampled = CliRunner().invoke(
        paper, ["data", "--data", str(data_dir / "sampled.parquet"), "-o", str(out)]
    )
    assert isinstance(sampled.exception, DataError)


def test_mean_spectrum_with_its_imaginary_part(data_dir):
    """A tenth of the modes at -50 cm^-1 in one of three materials."""
    data = read_labelled(data_dir / "raw.parquet").subset([0, 1, 2])
    raw = [(-100.0, 1.0, np.zeros(1101)) for _ in range(3)]
    for _, _, values in raw:
        values[300] = 1.0
    raw[0][2][300], raw[0][2][50] = 0.9, 0.1
    found = mean_spectrum(replace(data, raw=raw))
    np.testing.assert_allclose(found.imaginary, [-50.0, 0.0, 0.0])
    np.testing.assert_allclose(found.shares, [0.1, 0.0, 0.0])
    assert found.mean[found.wavenumbers == 200.0] == pytest.approx(2.9 / 3)
    assert found.mean.sum() == pytest.approx(1.0)


def test_known_crystals_are_those_of_one_structure(data_dir):
    """Another cell and scale of NaCl is known; caesium chloride's structure and silicon are not."""
    known = KnownCrystals([data_dir / "raw.parquet"])
    salt = bulk("MgO", "rocksalt", a=4.3)  # of the split train
    other = make_supercell(salt, [[1, 1, 0], [0, 1, 0], [0, 0, 2]])
    other.rotate(30, (1, 2, 3), rotate_cell=True)
    assert [k.id for k in known.matches(Crystal.from_any(other))] == ["x-8"]
    caesium = Crystal.from_any(bulk("MgO", "cesiumchloride", a=2.6))
    assert known.of_composition(caesium)
    assert known.matches(caesium) == []
    assert known.matches(Crystal.from_any(bulk("Si"))) == []
    held = bulk("NaCl", "rocksalt", a=5.64)  # of the split valid
    assert known.matches(Crystal.from_any(held)) == []


def test_force_sets_of_marked_formulas_are_not_known(data_dir, tmp_path):
    """Force sets have no marks of their own; ids that another file marks do not count in them."""
    table = pq.read_table(data_dir / "raw.parquet").select(
        ["id", "numbers", "cell", "positions_frac", "split"]
    )
    rows = [row for row in table.to_pylist() if row["split"] == "train"]
    forces = pa.Table.from_pylist([{**row, "forces_1e6": [0]} for row in rows])
    pq.write_table(forces, tmp_path / "forces.parquet")
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "spectra.parquet")
    first = frozenset([rows[0]["id"]])
    assert KnownCrystals([tmp_path / "forces.parquet"], first).n == len(rows) - 1
    assert KnownCrystals([tmp_path / "spectra.parquet"], first).n == len(rows)


def test_overview_has_the_sizes_of_the_paper(tmp_path):
    """Figure S2's layers with all weights; tables S1 and S3 beside the paper's."""
    network = shipped_network()
    assert sum(n for _, n in network_layers(network)) == sum(
        p.numel() for p in network.parameters()
    )
    result = CliRunner().invoke(paper, ["overview", "-o", str(tmp_path), "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "figure-1.png").stat().st_size > 5000
    rows = [line.split("  ") for line in result.output.splitlines()]
    shapes = [[cell.strip() for cell in row if cell.strip()][1:] for row in rows]
    for shape in TABLE_S3:
        text = ", ".join(map(str, shape))
        assert [text, text] in shapes, text


def test_materials_are_not_compared_with_paper_twice(tmp_path):
    """The model beside `paper` is another one."""
    result = CliRunner().invoke(paper, ["materials", "-m", "paper", "-o", str(tmp_path)])
    assert isinstance(result.exception, PredictionError)


def test_heat_capacity_within_the_range_counts_all_modes():
    """Half of the modes at 3000 cm^-1: confined, all are at 200."""
    grid = np.arange(5.0, 4000.0, 10.0)
    y = np.zeros(len(grid))
    y[20], y[300] = 1.0, 1.0
    crystal = Crystal.from_any(bulk("Cu"))
    both = PhononSpectrum(grid, y, crystal=crystal)
    y[300] = 0.0
    low = PhononSpectrum(grid, y, crystal=crystal)
    assert confined(both).specific_heat(293.15) == pytest.approx(
        low.specific_heat(293.15), rel=1e-6
    )
    assert both.specific_heat(293.15) < 0.6 * low.specific_heat(293.15)


def test_figure_3_with_points(tmp_path):
    """The crystals are those of the literature; a user's points are found by their formula."""
    crystals = measured_crystals()
    assert set(crystals) == set(MATERIALS)
    atoms = crystals["ZrSiO4"].to_atoms()
    near = np.sort(atoms.get_all_distances(mic=True)[atoms.numbers == 14][:, atoms.numbers == 8])
    np.testing.assert_allclose(near[:, :4], 1.62, atol=0.01)  # silicate tetrahedra
    points = tmp_path / "points"
    points.mkdir()
    command = ["measured", "-o", str(tmp_path), "-m", "paper", "--points", str(points)]
    empty = CliRunner().invoke(paper, command)
    assert isinstance(empty.exception, DataError)
    e = np.linspace(2, 80, 60)
    lines = [f"{x},{y}" for x, y in zip(e, np.exp(-(((e - 30) / 15) ** 2)), strict=True)]
    (points / "UO2.csv").write_text("energy (meV),intensity\n" + "\n".join(lines))
    result = CliRunner().invoke(paper, command)
    assert result.exit_code == 0, result.output
    assert result.output.count("overlap 0.") == 1
    assert (tmp_path / "figure-3.png").stat().st_size > 5000


def test_figures_of_a_screening(data_dir, tmp_path):
    table = pq.read_table(data_dir / "raw.parquet").select(
        ["id", "numbers", "cell", "positions_frac"]
    )
    pq.write_table(table, tmp_path / "structures_mp.parquet")
    (tmp_path / "dfpt_petretto.parquet").symlink_to(data_dir / "raw.parquet")
    screen(pa.Table.from_pylist(table.to_pylist()), tmp_path / "s", model="paper", device="cpu")
    command = ["screening", str(tmp_path / "s"), "-o", str(tmp_path), "--data-dir", str(tmp_path)]
    result = CliRunner().invoke(paper, command)
    assert result.exit_code == 0, result.output
    for name in ("5", "s1", "s14"):
        assert (tmp_path / f"figure-{name}.png").stat().st_size > 5000
    assert (
        "9 training entries; of 12 crystals 9 have the composition of one, 9 its" in result.output
    )
    assert "structure not in training        3" in result.output
