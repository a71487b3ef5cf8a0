"""The paper's figures of one model's predictions, in one folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ase_e3dos.evaluation.predictions import Predictions
from e3dos_paper.elements import figure_s12, figure_s13
from e3dos_paper.examples_by_error import figure_s11
from e3dos_paper.figure_2 import figure_2
from e3dos_paper.stability_figures import write_stability_figures


def write_figures(parts: Mapping[str, Predictions], directory: str | Path) -> list[Path]:
    """Figures 2, S11, S12, S13 and, for a model with imaginary modes, S7 to S10, as PNG files.

    Parameters
    ----------
    parts : mapping of str to Predictions
        Predictions by split, training first, the one that counts last. S13 needs two.
    directory : str or Path
        Folder, made where it is missing.

    Returns
    -------
    list of Path
        The files written.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    last = list(parts.values())[-1]
    written = [folder / f"{last.model}-figure-2.png", folder / f"{last.model}-figure-s12.png"]
    figure_2(parts, written[0])
    written.append(folder / f"{last.model}-figure-s11.png")
    figure_s11(last, written[-1])
    figure_s12({k: v.labelled.crystals for k, v in parts.items()}, written[1])
    if len(parts) > 1:
        first = next(iter(parts.values()))
        written.append(folder / f"{last.model}-figure-s13.png")
        figure_s13(first.labelled.crystals, last, written[-1])
    return written + write_stability_figures(parts, folder)
