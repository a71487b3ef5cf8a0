"""The data before any network: raw and filtered spectra (S3), the mean spectrum (S6)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ase_e3dos.data.labelled_set import LabelledSet
from ase_e3dos.data.labels import PAPER_GRID, paper_label
from ase_e3dos.errors import DataError
from ase_e3dos.spectrum.grid import Array
from e3dos_paper.pictures import save_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ROWS, _COLUMNS = 3, 4
#: Range of the mean spectrum in cm^-1; the paper's begins where its 61 points do.
_LOW, _HIGH = -250.0, 1000.0


def figure_s3(labelled: LabelledSet, path: str | Path | None = None, seed: int = 4) -> Figure:
    """Raw spectra, and the same filtered and sampled as the paper's labels are.

    Parameters
    ----------
    labelled : LabelledSet
        With raw spectra; examples are chosen at random.
    path : str or Path, optional
        Image to write; None writes nothing.
    seed : int, optional
        Of the choice.

    Raises
    ------
    DataError
        There are no raw spectra.
    """
    from matplotlib.figure import Figure

    raw = _raw(labelled)
    chosen = np.random.default_rng(seed).permutation(len(raw))[: _ROWS * _COLUMNS]
    figure = Figure(figsize=(9, 5.2), layout="constrained")
    axes = figure.subplots(_ROWS, _COLUMNS, sharex=True, squeeze=False).ravel()
    for ax in axes[len(chosen) :]:
        ax.set_axis_off()
    for ax, i in zip(axes, chosen, strict=False):
        start, step, values = raw[i]
        points = start + step * np.arange(len(values))
        ax.plot(points, values, color="0.65", linewidth=0.6, label="raw")
        fine = np.arange(0.0, 1001.0)
        ax.plot(fine, paper_label(start, step, values, fine), color="#3b6fb6", linewidth=1.1)
        ax.plot(
            PAPER_GRID, paper_label(start, step, values, PAPER_GRID), ".", ms=2.5, color="#d9731a"
        )
        ax.set_title(labelled.formulas[i], fontsize=7, pad=2)
        ax.set(xlim=(0, 1000), yticks=[])
        ax.set_ylim(0, 1.05 * float(values.max()))
        ax.tick_params(labelsize=7)
    figure.suptitle(
        "Raw spectra (grey), filtered (blue; Savitzky-Golay, 101 points of 1 cm$^{-1}$, third "
        "order), and the 51 points of the labels",
        fontsize=8,
    )
    figure.supxlabel("wavenumber (cm$^{-1}$)", fontsize=8)
    if path is not None:
        save_picture(figure, path)
    return figure


@dataclass(frozen=True)
class MeanSpectrum:
    """Mean of many spectra, each divided by its number of modes.

    Attributes
    ----------
    wavenumbers : ndarray, shape (n_points,)
        cm^-1, every 1 cm^-1.
    mean, std : ndarray, shape (n_points,)
        Share of the modes in a cm^-1, over materials.
    imaginary : ndarray, shape (n_materials,)
        Average frequency of the part below zero in cm^-1; zero for materials that have none.
    shares : ndarray, shape (n_materials,)
        Share of the modes below zero.
    """

    wavenumbers: Array
    mean: Array
    std: Array
    imaginary: Array
    shares: Array


def mean_spectrum(labelled: LabelledSet) -> MeanSpectrum:
    """The mean of raw spectra with their imaginary part.

    Raises
    ------
    DataError
        There are no raw spectra.
    """
    grid = np.arange(_LOW, _HIGH + 0.5)
    every, imaginary, shares = [], [], []
    for start, step, values in _raw(labelled):
        points = start + step * np.arange(len(values))
        modes = values.sum() * step
        every.append(np.interp(grid, points, values / modes, left=0.0, right=0.0))
        below = points < 0
        weight = float(values[below].sum())
        imaginary.append(float(points[below] @ values[below]) / weight if weight else 0.0)
        shares.append(weight * step / modes)
    spectra = np.array(every)
    return MeanSpectrum(
        grid, spectra.mean(axis=0), spectra.std(axis=0), np.array(imaginary), np.array(shares)
    )


def figure_s6(found: MeanSpectrum, path: str | Path | None = None) -> Figure:
    """The mean spectrum, with its part below zero enlarged."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 3.2), layout="constrained")
    ax = figure.subplots()
    x, mean = found.wavenumbers, 1e3 * found.mean
    ax.fill_between(
        x, np.maximum(mean - 1e3 * found.std, 0), mean + 1e3 * found.std, alpha=0.2, lw=0
    )
    ax.plot(x, mean, linewidth=1.2)
    ax.axvspan(x[0], 0, color="0.93", linewidth=0, zorder=-1)
    ax.set(xlim=(x[0], x[-1]), xlabel="wavenumber (cm$^{-1}$)")
    ax.set_ylim(bottom=0)
    ax.set_ylabel("share of the modes (10$^{-3}$ per cm$^{-1}$)")
    ax.set_title(
        f"Mean of {len(found.shares)} DFPT spectra; band: standard deviation over materials",
        fontsize=8,
    )
    inset = ax.inset_axes((0.6, 0.5, 0.37, 0.42))
    below = x <= 0
    inset.fill_between(x[below], mean[below], color="#b4472f", alpha=0.3, linewidth=0)
    inset.plot(x[below], mean[below], color="#b4472f", linewidth=1)
    inset.set(xlim=(x[0], 0))
    inset.set_ylim(bottom=0)
    inset.set_title("below zero", fontsize=7, pad=2)
    inset.tick_params(labelsize=7)
    if path is not None:
        save_picture(figure, path)
    return figure


def _raw(labelled: LabelledSet) -> list[tuple[float, float, Array]]:
    if labelled.raw is None:
        raise DataError(
            f"figures of the data need raw spectra, and those of {labelled.source!r} are "
            f"{labelled.kind}. Give a file with the column dos_per_cm1."
        )
    return labelled.raw
