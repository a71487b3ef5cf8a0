"""The cards of the shipped models state the errors that their weights have."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import ase_e3dos

MODELS = Path(ase_e3dos.__file__).parent / "models"
#: A command of a card on validation crystals of the paper's data, and the errors below it.
STATED = re.compile(
    r"^\$ (e3dos evaluate [^\n]*dfpt_petretto\.parquet[^\n]*--split valid[^\n]*)"
    r"\n[^\n]*\n(n=[^\n]*)",
    re.MULTILINE,
)
CARDS = [
    (card.stem, command, line)
    for card in sorted(MODELS.glob("*.md"))
    for command, line in STATED.findall(card.read_text(encoding="utf-8"))
]


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("model", "command", "line"), CARDS, ids=[c[0] for c in CARDS])
def test_errors_of_the_card(
    model: str,
    command: str,
    line: str,
    data_folder: Path,
    run_cli: Callable[..., tuple[int, str, str]],
) -> None:
    arguments = [
        str(data_folder / a) if a.endswith(".parquet") else a for a in shlex.split(command)[1:]
    ]
    code, output, errors = run_cli(*arguments, "--json")
    assert code == 0, errors
    found = json.loads(output)
    found = found[0] if isinstance(found, list) else found
    stated = {k: float(v) for k, v in (part.split("=") for part in line.split())}
    for name in ("R2", "MAE", "MSE", "within10"):
        assert found["errors"][name] == pytest.approx(stated[name], abs=0.005), name
    for name in ("WD", "wbar", "Cv_atom"):  # cm^-1, cm^-1, J/(K mol)
        assert found["errors"][name] == pytest.approx(stated[name], rel=0.005), name
