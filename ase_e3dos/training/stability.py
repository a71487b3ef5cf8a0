"""How well imaginary modes are predicted: errors by sign, and stability as a yes or no."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ase_e3dos.training.evaluation import Predictions, Section
from ase_e3dos.training.labels import IMAGINARY_GRID
from ase_e3dos.training.reference import imaginary_shares
from ase_e3dos.trust import IMAGINARY_LIMIT


def stability_errors(found: Predictions) -> Section:
    """Errors below and above zero, and of the verdict "has imaginary modes".

    A crystal counts as unstable with more than 1 % of its modes imaginary.

    Parameters
    ----------
    found
        Predictions of a model whose grid reaches below zero, for raw or 66-point labels.

    Returns
    -------
    dict
        `MSE_negative`, `MSE_positive` of max-normalised spectra on each side of zero (raw
        labels: 61 points); `n_unstable`; `precision` and `recall` of the verdict; `roc_area`
        of the imaginary share as a score; `leak`, the mean imaginary share predicted for
        crystals that have none; empty for a model without imaginary modes.
    """
    if found.spectra[0].wavenumbers[0] >= 0:
        return {}
    grid, predicted, reference = found.on_label_grid(imaginary=True)
    p = predicted / predicted.max(axis=1, keepdims=True)
    y = reference / reference.max(axis=1, keepdims=True)
    squared = (p - y) ** 2
    share = np.array([s.imaginary_fraction for s in found.spectra])
    if found.labelled.kind == "raw":
        true_share = imaginary_shares(found.labelled)
        assert len(grid) == len(IMAGINARY_GRID)
    else:
        true_share = reference[:, grid < 0].sum(axis=1) / reference.sum(axis=1)
    unstable, called = true_share > IMAGINARY_LIMIT, share > IMAGINARY_LIMIT
    hits = float((unstable & called).sum())
    section = {
        "MSE_negative": float(squared[:, grid < 0].mean()),
        "MSE_positive": float(squared[:, grid >= 0].mean()),
        "n_unstable": float(unstable.sum()),
        "precision": hits / max(float(called.sum()), 1.0),
        "recall": hits / max(float(unstable.sum()), 1.0),
    }
    if 0 < unstable.sum() < len(unstable):
        section["roc_area"] = roc_area(share, unstable)
    stable = true_share < 1e-3
    if stable.any():
        section["leak"] = float(share[stable].mean())
    return section


def roc_area(score: ArrayLike, positive: ArrayLike) -> float:
    """Area under the receiver operating characteristic.

    The probability that a positive case has the higher score than a negative one, ties
    counting half (Mann and Whitney).

    Parameters
    ----------
    score
        Shape (n,).
    positive
        Boolean, shape (n,); both values must occur.
    """
    from scipy.stats import rankdata

    values, mask = np.asarray(score, dtype=float), np.asarray(positive, dtype=bool)
    n_positive, n_negative = int(mask.sum()), int((~mask).sum())
    ranks = rankdata(values)
    above = ranks[mask].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))
