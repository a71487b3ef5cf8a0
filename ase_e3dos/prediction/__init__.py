"""The whole idea in one function: structures in, phonon spectra out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.prediction.notices import warn_about
from ase_e3dos.prediction.pipeline import load_predictor
from ase_e3dos.structures.crystal import Crystal


def predict(
    structures: Any,
    model: str = "default",
    device: str = "auto",
    uncertainty: bool = True,
    progress: bool = False,
    encoder: str | None = None,
) -> list[PhononSpectrum]:
    """Predict the phonon density of states of any number of crystals.

    Parameters
    ----------
    structures
        One structure or an iterable of them, in any mixture: ASE Atoms, pymatgen Structure
        (ordered or not), PhonopyAtoms, Crystal, or the path of a file.
    model
        Name of a registered model (`e3dos models` lists them) or path of a weights file.
    device
        "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1".
    uncertainty
        Run the whole ensemble and give error bars; False runs one network, several times faster.
    progress
        Show a progress bar.
    encoder
        Name of an encoder; by default the model's own, or its alloy form for mixed sites.

    Returns
    -------
    list of PhononSpectrum
        In the order given.

    Raises
    ------
    E3DOSError
        A structure cannot be predicted (the message names it), or the model or device is not
        available.

    Examples
    --------
    >>> from ase.build import bulk
    >>> spectrum, = predict([bulk("NaCl", "rocksalt", a=5.64)])
    >>> spectrum.n_modes
    6.0
    """
    predictor = load_predictor(model, device, encoder)
    crystals = [Crystal.quietly(s, _name(s, i)) for i, s in enumerate(_listed(structures))]
    spectra = predictor.spectra(_with_progress(crystals, progress), uncertainty)
    for spectrum in spectra:
        warn_about(spectrum)
    return spectra


def _listed(structures: Any) -> Iterable[Any]:
    """A single structure counts as a list of one (several of the classes are iterable)."""
    single = isinstance(structures, (str, Mapping)) or not isinstance(structures, Iterable)
    if single or hasattr(structures, "cell") or hasattr(structures, "lattice"):
        return [structures]
    several: Iterable[Any] = structures
    return several


def _name(structure: Any, index: int) -> str | None:
    """Files and crystals have names; others are called by their place in the list."""
    if isinstance(structure, (str, PathLike, Crystal)):
        return None
    formula = getattr(structure, "get_chemical_formula", None)
    return f"structure {index}" + (f" ({formula()})" if formula is not None else "")


def _with_progress(crystals: list[Crystal], progress: bool) -> Any:
    if not progress:
        return crystals
    from rich.progress import track

    return track(crystals, description="Predicting")
