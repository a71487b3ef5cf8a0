"""What the commands share beyond the options of `e3dos`: choices, and values by formula."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from e3dos_thermochemistry.errors import ThermochemistryError

if TYPE_CHECKING:
    from e3dos_thermochemistry.solid import Solid


class ErrorModel(StrEnum):
    """Which errors cancel: `e3dos_thermochemistry.error_bars`."""

    MEASURED = "measured"
    INDEPENDENT = "independent"
    TOGETHER = "together"
    MEMBERS = "members"


class GasTable(StrEnum):
    """Sources of gases: `e3dos_thermochemistry.gases`."""

    ASE = "ase"
    CANTERA = "cantera"


Errors = Annotated[
    ErrorModel,
    typer.Option(
        help="Which errors cancel: as measured on unseen compounds, none, all, or by the members "
        "of an ensemble."
    ),
]
BulkModulus = Annotated[
    str | None,
    typer.Option(
        metavar="FORMULA=GPA,...",
        help="For C_P in place of C_V; off by default. Or a YAML or JSON file.",
    ),
]
Enthalpies = Annotated[
    str | None,
    typer.Option(
        metavar="FORMULA=KJ,...",
        help="Enthalpies of formation of the solids at 298.15 K, kJ/mol. Or a YAML or JSON file.",
    ),
]


def by_formula(text: str | None, option: str) -> dict[str, float]:
    """Numbers by formula: "CaCO3=-37.1,CaO=-12.9", or the path of a YAML or JSON file.

    Raises
    ------
    ThermochemistryError
        If it is neither.
    """
    if text is None:
        return {}
    example = f'{option}: give formulas with numbers, such as "CaCO3=-37.1,CaO=-12.9"'
    if "=" not in text:
        return _from_file(Path(text), example)
    found: dict[str, float] = {}
    for pair in text.split(","):
        formula, _, number = (part.strip() for part in pair.partition("="))
        try:
            if not formula or formula in found:
                raise ValueError
            found[formula] = float(number)
        except ValueError:
            raise ThermochemistryError(f"{example}; {pair.strip()!r} is not such a pair.") from None
    return found


def _from_file(path: Path, example: str) -> dict[str, float]:
    try:
        data: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(data, Mapping):
            raise TypeError("it does not map formulas to numbers")
        return {str(name): float(value) for name, value in data.items()}
    except (OSError, ValueError, TypeError, yaml.YAMLError, RecursionError) as error:
        raise ThermochemistryError(
            f"{example}, or a YAML or JSON file of them; {path} is neither ({error})."
        ) from error


def of_solid(values: Mapping[str, float], solid: Solid) -> tuple[str, float] | None:
    """Formula and value that belong to a solid, or None."""
    from pymatgen.core import Composition

    own = solid.composition.reduced_composition
    found = (f for f in values if Composition(f).reduced_composition == own)
    formula = next(found, None)
    return None if formula is None else (formula, values[formula])
