"""Site spectra and the response to strain, against finite-displacement site spectra."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ase_e3dos.data.labels import DEFAULT_GRID
from ase_e3dos.evaluation.predictions import Predictions, Section
from ase_e3dos.evaluation.reference import imaginary_shares
from ase_e3dos.prediction.trust import IMAGINARY_LIMIT
from ase_e3dos.spectrum.grid import Array

_STEP = DEFAULT_GRID[1] - DEFAULT_GRID[0]
#: Sites of one crystal differ where their spectra are so far (cm^-1) from their mean; equivalent
#: sites come out of finite displacements a little apart.
SITES_DIFFER = 1.0


def site_errors(found: Predictions) -> Section:
    """Wasserstein distances of site spectra.

    Parameters
    ----------
    found : Predictions
        Predictions with site spectra, for site labels.

    Returns
    -------
    dict
        `WD_site` (cm^-1), the mean over crystals of the mean over sites; `WD_equal` and
        `WD_equal_reference`, what sharing the predicted or the true total equally among the
        sites would give; empty for a model without site spectra. `ratio` compares WD_site with
        WD_equal_reference, the stricter of the two, over the `n_differing` crystals whose true
        sites differ: where they are all alike, as in a metal of one atom, there is nothing to
        share out, and without any such crystal there is no ratio.
    """
    if any(s.site_density is None for s in found.spectra):
        return {}
    distances: list[tuple[float, float, float]] = []
    for spectrum, bins in zip(found.spectra, found.labelled.bins, strict=True):
        sites = np.asarray(spectrum.site_density)
        # Bin weights: the density times the width, on the labels' own grid.
        p = np.array([_on_label_bins(spectrum.wavenumbers, row) for row in sites])
        p /= p.sum(axis=1, keepdims=True)
        q = np.asarray(bins, dtype=float)
        shared = np.broadcast_to(p.mean(axis=0), q.shape)
        shared_reference = np.broadcast_to(q.mean(axis=0), q.shape)
        distances.append((_distance(p, q), _distance(shared, q), _distance(shared_reference, q)))
    table = np.array(distances)
    ours, equal, equal_reference = table.mean(axis=0)
    differing = table[table[:, 2] > SITES_DIFFER]
    section = {
        "n": float(len(distances)),
        "WD_site": float(ours),
        "WD_equal": float(equal),
        "WD_equal_reference": float(equal_reference),
        "n_differing": float(len(differing)),
    }
    if len(differing):
        section["ratio"] = float(differing[:, 0].mean() / differing[:, 2].mean())
    return section


def _on_label_bins(wavenumbers: Array, density: Array) -> Array:
    if len(wavenumbers) == len(DEFAULT_GRID) and np.allclose(wavenumbers, DEFAULT_GRID):
        return density
    return np.asarray(np.interp(DEFAULT_GRID, wavenumbers, density, left=0.0, right=0.0))


def _distance(p: Array, q: Array) -> float:
    """Mean Wasserstein distance of rows of bin weights in cm^-1."""
    return float(np.abs(np.cumsum(p - q, axis=1)).sum(axis=1).mean() * _STEP)


@dataclass(frozen=True)
class StrainResponse:
    """Changes of the logarithm of the average frequency between two strains of one crystal.

    Attributes
    ----------
    formulas : list of str
        Of each pair.
    strain : ndarray
        Difference of the isotropic strains, positive, shape (n_pairs,).
    predicted, reference : ndarray
        ln of the average frequency at the larger strain minus that at the smaller,
        shape (n_pairs,).
    """

    formulas: list[str]
    strain: Array
    predicted: Array
    reference: Array

    def summary(self) -> Section:
        """Correlation, slope of predicted on reference, share of right signs.

        `constant` is the correlation that the same relative change for every crystal (a
        constant Grüneisen parameter) would have.
        """
        if len(self.predicted) < 3:
            return {"n_pairs": float(len(self.predicted))}
        slope = np.polyfit(self.reference, self.predicted, 1)[0]
        return {
            "n_pairs": float(len(self.predicted)),
            "correlation": float(np.corrcoef(self.reference, self.predicted)[0, 1]),
            "slope": float(slope),
            "sign": float((np.sign(self.predicted) == np.sign(self.reference)).mean()),
            "MAE": float(np.abs(self.predicted - self.reference).mean()),
            "constant": float(np.corrcoef(self.reference, -self.strain)[0, 1]),
        }


def strain_response(found: Predictions) -> StrainResponse:
    """Changes with strain for pairs of one crystal at two strains, stable at both.

    The average frequency of a crystal with more than 1 % of imaginary modes says little of its
    stiffness: such entries are left out.

    Parameters
    ----------
    found : Predictions
        Predictions for site labels; entries of one `id` are one crystal.
    """
    data = found.labelled
    by_id: dict[str, list[int]] = {}
    stable = imaginary_shares(data) <= IMAGINARY_LIMIT
    for i, name in enumerate(data.ids):
        if stable[i]:
            by_id.setdefault(name, []).append(i)
    true = np.log([max(float(b.mean(axis=0) @ DEFAULT_GRID), 1.0) for b in data.bins])
    ours = np.log([max(s.mean_wavenumber, 1.0) for s in found.spectra])
    pairs = []
    for entries in by_id.values():
        ordered = sorted(entries, key=lambda i: data.strain[i])
        pairs += [
            (low, high)
            for k, low in enumerate(ordered)
            for high in ordered[k + 1 :]
            if data.strain[high] > data.strain[low]
        ]
    low, high = (np.array([p[k] for p in pairs], dtype=int) for k in (0, 1))
    return StrainResponse(
        [data.formulas[i] for i in low],
        data.strain[high] - data.strain[low],
        ours[high] - ours[low],
        true[high] - true[low],
    )
