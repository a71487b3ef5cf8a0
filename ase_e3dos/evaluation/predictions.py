"""How good a model is: any model against any file of labelled crystals.

The measures are those of `ase_e3dos.evaluation.metrics`; further sections (thermal properties
against the file's own, signs, edges of the spectrum, intervals, sites, strain) are in the
modules beside this one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ase_e3dos.data.composition import kept_out
from ase_e3dos.data.labelled_set import LabelledSet, read_labelled
from ase_e3dos.data.labels import DEFAULT_GRID, IMAGINARY_GRID, JARVIS_GRID, PAPER_GRID
from ase_e3dos.errors import DataError, E3DOSError
from ase_e3dos.evaluation.metrics import spectrum_errors
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.spectrum.grid import Array

Section = dict[str, float]
#: Share of the formulas that training on strained cells leaves out.
KEPT_OUT_SHARE = 0.2


@dataclass(frozen=True)
class Predictions:
    """Spectra of a model for the crystals of a labelled set.

    Attributes
    ----------
    model : str
        Its name.
    labelled : LabelledSet
        The data.
    spectra : list of PhononSpectrum
        One for each crystal.
    """

    model: str
    labelled: LabelledSet
    spectra: list[PhononSpectrum]

    def on_label_grid(self, imaginary: bool = False) -> tuple[Array, Array, Array]:
        """Wavenumbers, predictions and references on the grid that errors are taken on.

        Parameters
        ----------
        imaginary : bool, optional
            Use the 61 points from -200 cm^-1 for raw labels instead of the 51.

        Returns
        -------
        wavenumbers : ndarray, shape (n_points,)
            cm^-1.
        predicted, reference : ndarray, shape (n, n_points)
            In any scale.
        """
        data = self.labelled
        if data.kind == "sampled" and data.label is not None:
            predicted = np.array([s.on_grid(JARVIS_GRID) for s in self.spectra])
            return JARVIS_GRID, predicted, data.label.astype(float)
        if data.kind == "raw" and data.label is not None and data.label_imaginary is not None:
            grid = IMAGINARY_GRID if imaginary else PAPER_GRID
            label = data.label_imaginary if imaginary else data.label
            predicted = np.array([s.as_paper_label(grid) for s in self.spectra])
            return grid, predicted, label.astype(float)
        # Site labels reach to 1600 cm^-1 in 10 cm^-1 bins: their sum is compared on these.
        predicted = np.array([s.on_grid(DEFAULT_GRID) for s in self.spectra])
        return DEFAULT_GRID, predicted, np.array([b.mean(axis=0) for b in data.bins], dtype=float)

    def squared_errors(self) -> Array:
        """Mean squared error of each max-normalised spectrum, shape (n,)."""
        _, predicted, reference = self.on_label_grid()
        p = predicted / predicted.max(axis=1, keepdims=True)
        y = reference / reference.max(axis=1, keepdims=True)
        return np.asarray(((p - y) ** 2).mean(axis=1))

    def mean_wavenumbers(self) -> tuple[Array, Array]:
        """Average frequency by the label grid, predicted and reference, in cm^-1."""
        grid, predicted, reference = self.on_label_grid()
        return (
            predicted @ grid / predicted.sum(axis=1),
            reference @ grid / reference.sum(axis=1),
        )


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found.

    Attributes
    ----------
    model, data, split : str
        What was evaluated on what.
    errors : Section
        The measures of `spectrum_errors`.
    sections : dict of str to Section
        Further measures by the name of their section.
    predictions : Predictions or None
        The spectra behind the numbers.
    """

    model: str
    data: str
    split: str
    errors: Section
    sections: dict[str, Section] = field(default_factory=dict)
    predictions: Predictions | None = None

    def to_dict(self) -> dict[str, object]:
        """Plain values for JSON."""
        return {
            "model": self.model,
            "data": self.data,
            "split": self.split,
            "errors": self.errors,
            **self.sections,
        }


def open_predictor(model: str | Path, device: str = "auto", source: str | None = None) -> Predictor:
    """A predictor of its own for a model, speaking for a data source other than its usual one.

    Raises
    ------
    DataError
        The weights do not know the source.
    """
    predictor = Predictor(model, device)
    if source is not None:
        known = predictor.model.header.sources
        if source not in known:
            raise DataError(
                f"model {predictor.name!r} speaks for {', '.join(known)}, not for {source!r}."
            )
        predictor.model.source = known.index(source)
    return predictor


def predictions(
    predictor: Predictor, labelled: LabelledSet, uncertainty: bool = True
) -> Predictions:
    """Predict every crystal of a labelled set.

    Raises
    ------
    E3DOSError
        A crystal cannot be predicted; its id is in the message.
    """
    spectra: list[PhononSpectrum] = []
    for result in predictor.stream(labelled.crystals, uncertainty):
        if isinstance(result, E3DOSError):
            raise result
        spectra.append(result)
    return Predictions(predictor.name, labelled, spectra)


def evaluate(
    model: str | Path | Predictor,
    data: str | Path | LabelledSet,
    split: str | None = None,
    device: str = "auto",
    source: str | None = None,
    uncertainty: bool = True,
) -> Evaluation:
    """Errors of a model on a file of labelled crystals.

    Parameters
    ----------
    model : str, Path or Predictor
        Name of a model, path of a weights file, or an open predictor.
    data : str, Path or LabelledSet
        Parquet file, or a labelled set as it is.
    split : str, optional
        Entries to use; "all", or "kept-out" for the fifth of the formulas that training on
        strained cells leaves out. None for "valid", or for "kept-out" with site labels that
        have no such split.
    device : str, optional
        Where to run.
    source : str, optional
        Data source to speak for; None for the model's own.
    uncertainty : bool, optional
        Run the whole ensemble.

    Returns
    -------
    Evaluation
        Raw labels are compared as paper labels on 51 points, 66-point labels by bin averages,
        each divided by its maximum or sum as the measures say.

    Raises
    ------
    E3DOSError
        Model or data are not usable.
    """
    predictor = model if isinstance(model, Predictor) else open_predictor(model, device, source)
    name = data.source if isinstance(data, LabelledSet) else Path(data).name
    labelled = data if isinstance(data, LabelledSet) else read_labelled(data)
    divided = labelled.kind != "site" or "valid" in labelled.splits
    split = split or ("valid" if divided else "kept-out")
    if split == "kept-out":
        labelled = labelled.subset(kept_out(labelled.formulas, KEPT_OUT_SHARE))
    elif split != "all":
        labelled = labelled.split(split)
    label = predictor.name if isinstance(model, Predictor) else model_label(model, predictor.name)
    found = replace(predictions(predictor, labelled, uncertainty), model=label)
    grid, predicted, reference = found.on_label_grid()
    errors = spectrum_errors(predicted, reference, labelled.n_sites, grid)
    return Evaluation(found.model, name, split, errors, predictions=found)


def model_label(model: str | Path, name: str) -> str:
    """Name of a model in tables and files: weights.safetensors of a run goes by its folder."""
    return Path(model).resolve().parent.name if name == "weights" else name
