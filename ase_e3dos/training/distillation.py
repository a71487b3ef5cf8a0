"""Distillation: spectra that an ensemble predicts, as labels for one network that stands for it.

A network that learns from the ensemble's spectra of many unlabelled crystals comes closer to the
ensemble than one that learns from the labels alone (Hinton, Vinyals and Dean, arXiv:1503.02531),
at the cost of one network.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ase_e3dos.data.labelled_set import LabelledSet
from ase_e3dos.data.labels import DEFAULT_GRID
from ase_e3dos.errors import E3DOSError, TrainingError
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures.crystal import Crystal


def taught_set(teacher: Predictor, crystals: Sequence[Crystal], source: str) -> LabelledSet:
    """Label crystals with the site spectra of an ensemble.

    Parameters
    ----------
    teacher : Predictor
        Predictor with site spectra on the default grid, opened for the data source `source`.
    crystals : sequence of Crystal
        Unlabelled; those that cannot be predicted are left out.
    source : str
        Name of the data source that the labels speak for.

    Returns
    -------
    LabelledSet
        Of the kind "site".

    Raises
    ------
    TrainingError
        The teacher has no site spectra on the default grid, or no crystal could be predicted.
    """
    kept: list[Crystal] = []
    bins = []
    for spectrum in teacher.stream(list(crystals), uncertainty=True):
        if isinstance(spectrum, E3DOSError):
            continue
        sites = spectrum.site_density
        if sites is None or sites.shape[1] != len(DEFAULT_GRID):
            raise TrainingError(
                f"{teacher.name}: a teacher needs site spectra on the {len(DEFAULT_GRID)} bins of "
                "the default grid."
            )
        kept.append(spectrum.crystal)
        bins.append((sites / sites.sum(axis=1, keepdims=True)).astype(np.float32))
    if not kept:
        raise TrainingError(f"{teacher.name}: none of the {len(crystals)} crystals was predicted.")
    n = len(kept)
    return LabelledSet(
        kind="site",
        source=source,
        ids=[f"{source}-{k}" for k in range(n)],
        formulas=[c.formula for c in kept],
        splits=["train"] * n,
        crystals=kept,
        bins=bins,
        label=None,
        label_imaginary=None,
        strain=np.zeros(n),
        reference={},
        sha256="",
    )
