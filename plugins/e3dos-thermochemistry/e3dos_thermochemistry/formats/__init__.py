"""Files of coefficients that other programs read; the ending says which."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path

from ase_e3dos.export.writing import writing
from e3dos_thermochemistry.coefficients import Coefficients
from e3dos_thermochemistry.errors import FitError
from e3dos_thermochemistry.formats.burnman import burnman_text
from e3dos_thermochemistry.formats.cantera import cantera_text
from e3dos_thermochemistry.formats.tdb import tdb_text
from e3dos_thermochemistry.polynomials import Form

#: By ending: the form that the program wants unless another is given, those it takes, the writer.
FORMATS: dict[str, tuple[Form, tuple[Form, ...], Callable[[Sequence[Coefficients]], str]]] = {
    ".tdb": ("sgte", ("sgte",), tdb_text),
    ".yaml": ("nasa9", ("nasa9", "shomate"), cantera_text),
    ".json": ("maier-kelley", ("maier-kelley",), burnman_text),
}


def form_for(path: str | PathLike[str], form: Form | None = None) -> Form:
    """Form that a file takes, for its ending.

    Parameters
    ----------
    path : str or path
        Ending in .tdb (pycalphad and other CALPHAD programs), .yaml (Cantera) or .json (burnman).
    form : str, optional
        Asked for.

    Raises
    ------
    FitError
        If the ending is unknown, or the program does not take the form.
    """
    known = FORMATS.get(Path(path).suffix.lower())
    if known is None:
        raise FitError(
            f"{path}: the ending says which program the file is for: .tdb (pycalphad), .yaml "
            "(Cantera) or .json (burnman)."
        )
    if form is not None and form not in known[1]:
        raise FitError(
            f"{path}: files of this kind hold coefficients of the form {' or '.join(known[1])}, "
            f"not {form}. Leave the form out."
        )
    return form or known[0]


def write_coefficients(path: str | PathLike[str], coefficients: Sequence[Coefficients]) -> None:
    """Write coefficients for pycalphad (.tdb), Cantera (.yaml) or burnman (.json).

    Parameters
    ----------
    path : str or path
    coefficients : sequence of Coefficients
        Of different solids, of a form that the file takes.

    Raises
    ------
    FitError
        If the file cannot hold them.
    OutputError
        If it cannot be written.
    """
    for of_solid in coefficients:
        form_for(path, of_solid.form)
    names = [c.name for c in coefficients]
    if not names or len(set(names)) < len(names):
        raise FitError(f"{path}: give coefficients of one solid or more, each formula once.")
    text = FORMATS[Path(path).suffix.lower()][2](coefficients)
    with writing(path):
        Path(path).write_text(text, encoding="utf-8")
