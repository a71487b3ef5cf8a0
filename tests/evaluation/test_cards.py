"""The cards of the shipped models state the errors that their weights have."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ase_e3dos

MODELS = Path(ase_e3dos.__file__).parent / "models"
#: A command of a card on validation crystals, and what it prints before any table.
STATED = re.compile(
    r"^\$ (e3dos evaluate [^\n]* --data (\w+)\.parquet --split valid[^\n]*)\n(.*?)^(?:```|stable)",
    re.MULTILINE | re.DOTALL,
)
#: Lines of each model that are compared, by the name before the colon, and their measures.
COMPARED = {
    "errors": ("R2", "MAE", "MSE", "WD", "wbar", "Cv_atom", "within10"),
    "interval heat_capacity 300 K": ("cover90", "width90", "rank"),
    "interval u_iso 300 K": ("cover90", "factor90"),
}


def stated() -> Iterator[tuple[str, str, str]]:
    """Card, command, output: on the paper's data of all models, on the phonon database of one."""
    for card in sorted(MODELS.glob("*.md")):
        for command, data, output in STATED.findall(card.read_text(encoding="utf-8")):
            if data == "dfpt_petretto" or (data, card.stem) == ("dft_phonondb", "default"):
                yield f"{card.stem}-{data}", command, output


CARDS = list(stated())


def lines(output: str) -> Iterator[dict[str, dict[str, str]]]:
    """Measures of each model, by the name of their line."""
    for text in re.split(r"^\S+ on \S+, split \w+\n", output, flags=re.MULTILINE)[1:]:
        found = re.findall(r"^(?:  ([^:=\n]+): )?(n\w*=.*|\w+=.*)$", text, re.MULTILINE)
        yield {
            name or "errors": dict(part.split("=") for part in measures.split())
            for name, measures in found
        }


def test_cards_state_errors() -> None:
    assert {name.split("-dfpt")[0].split("-dft")[0] for name, _, _ in CARDS} >= {
        "default", "combined", "force-constants", "paper", "imaginary", "alloy",
    }  # fmt: skip
    for name, _, output in CARDS:
        models = list(lines(output))
        assert models, name
        assert all(set(COMPARED["errors"]) <= set(m["errors"]) for m in models), name
    (phonondb,) = (lines(output) for name, _, output in CARDS if name == "default-dft_phonondb")
    assert set(COMPARED) <= set(next(phonondb))


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("command", "output"), [c[1:] for c in CARDS], ids=[c[0] for c in CARDS])
def test_errors_of_the_card(
    command: str,
    output: str,
    data_folder: Path,
    run_cli: Callable[..., tuple[int, str, str]],
) -> None:
    arguments = [
        str(data_folder / a) if a.endswith(".parquet") else a for a in shlex.split(command)[1:]
    ]
    code, printed, errors = run_cli(*arguments, "--json")
    assert code == 0, errors
    found = json.loads(printed)
    for model, said in zip(found, lines(output), strict=True):
        for line in COMPARED.keys() & said.keys():
            for name in COMPARED[line]:
                value = float(said[line][name])
                assert model[line][name] == pytest.approx(value, rel=0.005), (line, name)
