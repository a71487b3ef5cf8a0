"""Structure files of `cases/`, with what is right in `expected.json`, through every way in."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cif_texts import amounts

from ase_e3dos.errors import E3DOSError
from ase_e3dos.structures import Crystal, read

CASES = Path(__file__).parent / "cases"
EXPECTED: dict[str, dict[str, Any]] = json.loads((CASES / "expected.json").read_text())
#: Parts of the names of the warnings' classes.
WARNINGS = {"composition": "CompositionWarning", "occupation": "PartialOccupationWarning"}

names = pytest.mark.parametrize("name", EXPECTED)


def check_crystal(crystal: Crystal, expected: dict[str, Any]) -> None:
    if "atoms" in expected:
        assert amounts(crystal) == pytest.approx(expected["atoms"], abs=1e-6)
    if "sites" in expected:
        assert crystal.n_sites == expected["sites"]


def check(outcome: Crystal | E3DOSError, said: list[str], expected: dict[str, Any]) -> None:
    """What came of a file, with the names of the warnings."""
    if "refuse" in expected:
        assert isinstance(outcome, E3DOSError)
        return
    assert isinstance(outcome, Crystal), outcome
    check_crystal(outcome, expected)
    assert said == ([WARNINGS[expected["warn"]]] if "warn" in expected else [])


@names
def test_from_any_and_read(name: str) -> None:
    for reader in (Crystal.from_any, lambda path: read(path)[0], lambda path: read([path])[0]):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                outcome = reader(CASES / name)
                said = [type(w).__name__ for w in outcome.warnings]
            except E3DOSError as error:
                outcome, said = error, []
        check(outcome, said, EXPECTED[name])
        if reader == Crystal.from_any:
            assert [w.category.__name__ for w in caught] == said


def test_operations() -> None:
    """The images of every atom are those that the operations of `expected.json` make."""
    for name, expected in EXPECTED.items():
        if "operations" in expected:
            from ase_e3dos.structures.symmetry.operations import operations_of

            crystal = Crystal.from_any(CASES / name)
            group = operations_of(tuple(expected["operations"]))
            places = crystal.scaled_positions
            for w, t in zip(group.rotations, group.translations, strict=True):
                apart = (places @ w.T + t)[:, None] - places
                apart -= np.rint(apart)
                assert (np.abs(apart).max(axis=2).min(axis=1) < 1e-9).all()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import sys

    sys.path.insert(0, str(Path(__file__).parents[1] / "screening"))
    from small_screen import make_weights

    return make_weights(tmp_path_factory.mktemp("model") / "tiny.safetensors")


def relevant(names: Any) -> list[str]:
    return [n for n in names if n in WARNINGS.values()]


def test_predict(weights: Path) -> None:
    from ase_e3dos import predict

    for name, expected in EXPECTED.items():
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                spectrum = predict(CASES / name, model=str(weights))[0]
                outcome: Crystal | E3DOSError = spectrum.crystal
                said = relevant(type(w).__name__ for w in spectrum.warnings)
                assert relevant(w.category.__name__ for w in caught) == said, name
            except E3DOSError as error:
                outcome, said = error, []
        check(outcome, said, expected)


def test_screen(weights: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    from ase_e3dos import screen

    paths = [CASES / name for name in EXPECTED]
    screen(paths, tmp_path / "out", model=str(weights))
    rows = {row["id"]: row for row in pq.read_table(tmp_path / "out").to_pylist()}
    assert len(rows) == len(EXPECTED)
    for name, expected in EXPECTED.items():
        row = rows[str(CASES / name)]
        assert (row["error"] is not None) == ("refuse" in expected), name
        if row["error"] is None:
            found = relevant(text.partition(":")[0] for text in row["warnings"])
            assert found == ([WARNINGS[expected["warn"]]] if "warn" in expected else []), name
            if "sites" in expected:
                assert row["n_sites"] == expected["sites"]
            elif "atoms" in expected:
                assert row["n_sites"] == sum(expected["atoms"].values())


def test_command_line(weights: Path, run_cli: Callable[..., Any]) -> None:
    names = list(EXPECTED)
    paths = [CASES / name for name in names]
    code, out, errors = run_cli("predict", *paths, "--model", weights, "--json", "--no-uncertainty")
    rows = {Path(row["file"]).name: row for row in json.loads(out)["structures"]}
    assert code == 2, errors
    for name, expected in EXPECTED.items():
        row = rows[name]
        assert ("error" in row) == ("refuse" in expected), name
        if "error" not in row:
            found = relevant(w["type"] for w in row["warnings"])
            assert found == ([WARNINGS[expected["warn"]]] if "warn" in expected else []), name


def test_calculator(weights: Path) -> None:
    """Atoms made of the crystals give the same warnings on occupations."""
    from ase_e3dos import E3DOSPredictor

    calculator = E3DOSPredictor(str(weights))
    for name, expected in EXPECTED.items():
        if "refuse" in expected:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            crystal = Crystal.from_any(CASES / name)
            spectrum = calculator.get_phonon_dos(crystal.to_atoms())
        check_crystal(spectrum.crystal, expected)
