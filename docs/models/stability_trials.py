"""Whether the verdict on stability gets better without training the network again.

    python docs/models/stability_trials.py --data-dir DATA [--model MODEL]

Areas under the ROC curve of "more than 1 % of the modes are imaginary". Scores are the logarithms
of the odds that the network gives for each of its data sources, their means, and, fitted by
ten-fold cross-validation to the potential's crystals that all training left out, a logistic
regression on these together with what the spectrum says: imaginary share, its spread over the
members, and the share of modes under 50 cm^-1. Those that are fitted are not tried on the
validation sets, as none is better than the means.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from ase_e3dos.data.composition import kept_out
from ase_e3dos.data.labelled_set import LabelledSet, read_labelled
from ase_e3dos.evaluation.predictions import KEPT_OUT_SHARE, open_predictor, predictions
from ase_e3dos.evaluation.reference import imaginary_shares
from ase_e3dos.evaluation.stability import roc_area
from ase_e3dos.prediction.trust import IMAGINARY_LIMIT

Array = NDArray[np.float64]
SETS = {"potential, kept out": "mlip_nequix.parquet", "phonondb": "dft_phonondb.parquet",
        "DFPT": "dfpt_petretto.parquet"}  # fmt: skip
LOW, FOLDS, PENALTY = 50.0, 10, 0.01


def features(labelled: LabelledSet, model: str) -> dict[str, Array]:
    """Of each crystal: logarithms of odds by source, and of shares of the spectrum."""
    found: dict[str, Array] = {}
    sources = open_predictor(model, "cpu").model.header.sources
    for source in sources:
        spectra = predictions(open_predictor(model, "cpu", source), labelled).spectra
        odds = np.array([s.instability or 1e-9 for s in spectra]).clip(1e-9, 1 - 1e-9)
        found[f"odds, {source}"] = np.log(odds / (1 - odds))
        if source == sources[0]:
            shares = [s.members / s.members.sum(axis=1, keepdims=True) for s in spectra]
            wavenumbers = spectra[0].wavenumbers
            below = np.array([s[:, wavenumbers < 0].sum(axis=1) for s in shares])
            low = np.array([s[:, wavenumbers < LOW].sum(axis=1).mean() for s in shares])
            found["imaginary share"] = np.log(below.mean(axis=1) + 1e-4)
            found["its spread"] = np.log(below.std(axis=1) + 1e-4)
            found[f"modes under {LOW:g} cm^-1"] = np.log(low + 1e-3)
    return found


def cross_validated(columns: Array, unstable: NDArray[np.bool_]) -> Array:
    """Scores of a logistic regression, each crystal's by the folds that it is not in."""
    x = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    x = np.column_stack([np.ones(len(x)), x])
    fold = np.random.default_rng(1).integers(0, FOLDS, len(x))
    scores = np.zeros(len(x))
    for k in range(FOLDS):
        some, t = x[fold != k], unstable[fold != k]

        def loss(c: Array, some: Array = some, t: NDArray[np.bool_] = t) -> float:
            value = some @ c
            fit = np.logaddexp(0, value) - t * value
            return float(fit.mean() + PENALTY * (c[1:] ** 2).sum())

        scores[fold == k] = x[fold == k] @ minimize(loss, np.zeros(x.shape[1])).x
    return scores


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    rows: dict[str, dict[str, float]] = {}
    for name, file in SETS.items():
        labelled = read_labelled(options.data_dir / file)
        potential = "valid" not in labelled.splits
        if potential:
            labelled = labelled.subset(kept_out(labelled.formulas, KEPT_OUT_SHARE))
        else:
            labelled = labelled.split("valid")
        compounds = np.array([len(set(c.numbers.tolist())) > 1 for c in labelled.crystals])
        labelled = labelled.subset(compounds)  # of elements the network states no odds
        unstable = imaginary_shares(labelled) > IMAGINARY_LIMIT
        known = features(labelled, options.model)
        odds = {key: v for key, v in known.items() if key.startswith("odds")}
        tried = {**known, "mean of all odds": np.mean(list(odds.values()), axis=0)}
        if potential:
            every = np.column_stack(list(known.values()))
            tried["logistic, all odds"] = cross_validated(every[:, : len(odds)], unstable)
            tried["logistic, all of these"] = cross_validated(every, unstable)
        for score, values in tried.items():
            rows.setdefault(score, {})[name] = roc_area(values, unstable)
    print("| score | " + " | ".join(SETS) + " |")
    print("|---" + "|--:" * len(SETS) + "|")
    for score, areas in rows.items():
        cells = [f"{areas[name]:.3f}" if name in areas else "" for name in SETS]
        print(f"| {score} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
