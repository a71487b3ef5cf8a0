"""All of a spectrum as a JSON file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ase_e3dos.errors import SpectrumError, UnreadableFileError
from ase_e3dos.spectrum.density_of_states import DensityOfStates
from ase_e3dos.spectrum.serialization import spectrum_to_dict
from ase_e3dos.structures.json_text import parse_json


def write_json(spectrum: DensityOfStates, path: str | Path) -> None:
    """All of the spectrum, for `PhononSpectrum.read`.

    Raises
    ------
    SpectrumError
        A number in its `origin` is not finite, which JSON does not know.
    """
    try:
        text = json.dumps(spectrum_to_dict(spectrum), allow_nan=False)
    except ValueError as error:
        raise SpectrumError(
            f"The spectrum of {spectrum.crystal.name} holds a number that is not finite, which "
            "JSON does not know. Look at its `origin`."
        ) from error
    Path(path).write_text(text + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """What a JSON file that `write` wrote holds; `PhononSpectrum.read` makes a spectrum of it.

    Raises
    ------
    UnreadableFileError
        If the file cannot be opened.
    SpectrumError
        If it is not such a file.
    """
    try:
        return parse_json(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UnreadableFileError(
            f"{path}: the file cannot be opened ({error.strerror or error}). Check the path."
        ) from error
    except ValueError as error:
        raise SpectrumError(
            f"{path}: this is not a JSON file ({error}). Write it again with "
            "`PhononSpectrum.write`."
        ) from error
