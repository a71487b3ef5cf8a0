"""Errors on stable crystals whose whole spectra are known: labels, thermal properties, tensors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.analysis.displacements import principal_axes
from ase_e3dos.data.labels import PAPER_GRID
from ase_e3dos.evaluation.metrics import spectrum_errors
from ase_e3dos.evaluation.predictions import Predictions, Section
from ase_e3dos.evaluation.reference import imaginary_shares, reference_spectra
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum.displacement_tensors import DISPLACEMENT_TEMPERATURES, tensors_from_logs
from ase_e3dos.spectrum.grid import Array

Indices = NDArray[np.int64]
#: Predicted and reference spectra.
Pairs = list[tuple[PhononSpectrum, PhononSpectrum]]
#: Share of imaginary modes below which a reference counts as stable.
STABLE = 1e-3
#: K; those of the tables of standard entropies, and the lowest that bins resolve.
STANDARD, LOW = 298.15, (10.0, 20.0)


def stable_crystals(found: Predictions) -> Indices:
    """Indices of the crystals whose reference has no imaginary modes."""
    return np.flatnonzero(imaginary_shares(found.labelled) < STABLE)


def stable_sections(found: Predictions) -> dict[str, Section]:
    """Errors on the stable crystals of a set with raw or site labels.

    Returns
    -------
    dict
        "stable": the measures of `spectrum_errors` on the paper's 51 points (site labels), and
        the median and 95th percentile of the relative error of the entropy at 298.15 K.
        "10 K", "20 K": median relative errors of heat capacity and entropy.
        "sound": median relative error of the sound velocity, where data and model have it.
        "tensors 300 K": median relative error of U_iso over the sites, and Spearman's correlation
        of the ratio of the largest to the smallest principal axis.
    """
    chosen = stable_crystals(found)
    if not len(chosen):
        return {}
    references = reference_spectra(found.labelled)
    pairs = [(found.spectra[i], references[i]) for i in chosen]
    sections: dict[str, Section] = {"stable": {"n": float(len(chosen))}}
    if found.labelled.kind == "site":
        p, y = (np.array([pair[k].as_paper_label() for pair in pairs]) for k in (0, 1))
        kept = (y.max(axis=1) > 0) & (p.max(axis=1) > 0)
        sections["stable"] = spectrum_errors(
            p[kept], y[kept], found.labelled.n_sites[chosen][kept], PAPER_GRID
        )
    relative = _relative(pairs, "entropy", STANDARD)
    sections["stable"] |= {
        "S_median": float(np.median(relative)),
        "S_q95": float(np.quantile(relative, 0.95)),
    }
    for t in LOW:
        sections[f"{t:g} K"] = {
            "Cv_median": float(np.median(_relative(pairs, "heat_capacity", t))),
            "S_median": float(np.median(_relative(pairs, "entropy", t))),
        }
    return sections | _sound(found, chosen) | _tensors(found, chosen)


def _relative(pairs: Pairs, quantity: str, temperature: float) -> Array:
    """Relative errors, shape (n,)."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of low temperatures: they are what is measured
        values = np.array([[getattr(s, quantity)(temperature) for s in pair] for pair in pairs])
    return np.asarray(np.abs(values[:, 0] / values[:, 1] - 1))


def _sound(found: Predictions, chosen: Indices) -> dict[str, Section]:
    known = found.labelled.sound_velocity
    if known is None:
        return {}
    rows = [i for i in chosen if known[i] > 0.2 and found.spectra[i].sound_velocity is not None]
    if not rows:
        return {}
    ratio = [(found.spectra[i].sound_velocity or np.nan) / known[i] for i in rows]
    error = np.abs(np.array(ratio) - 1)
    return {
        "sound": {
            "n": float(len(rows)),
            "v_median": float(np.median(error)),
            "v_q95": float(np.quantile(error, 0.95)),
        }
    }


def _tensors(found: Predictions, chosen: Indices) -> dict[str, Section]:
    from scipy.stats import spearmanr

    known = found.labelled.log_displacements
    if known is None or any(found.spectra[i].log_displacements is None for i in chosen):
        return {}
    sections: dict[str, Section] = {}
    for k, t in enumerate(DISPLACEMENT_TEMPERATURES):
        predicted, reference = [], []
        for i in chosen:
            logs = known[i]
            if logs is not None:
                predicted.append(found.spectra[i].u_tensor(t))
                reference.append(tensors_from_logs(logs[:, k]))
        if not predicted:
            return {}
        p, y = np.concatenate(predicted), np.concatenate(reference)
        size = [np.trace(u, axis1=1, axis2=2) for u in (p, y)]
        longest = [principal_axes(u)[0] for u in (p, y)]
        ratio = [a[:, 2] / a[:, 0] for a in longest]
        error = np.abs(size[0] / size[1] - 1)
        sections[f"tensors {t:g} K"] = {
            "n_sites": float(len(p)),
            "U_median": float(np.median(error)),
            "U_q90": float(np.quantile(error, 0.9)),
            "U_bias": float(np.median(np.log(size[0] / size[1]))),
            "axes_rank": float(spearmanr(*ratio).statistic),
        }
    return sections
