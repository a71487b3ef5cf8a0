"""The whole idea in one function: structures in, phonon spectra out."""

from __future__ import annotations

from typing import Any

from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.prediction.notices import warn_about
from ase_e3dos.prediction.pipeline import load_predictor
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.reading import read


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
        One structure or many, in any mixture: whatever `ase_e3dos.structures.read` takes, such as
        ASE Atoms, pymatgen structures (ordered or not), PhonopyAtoms, Crystals, tables, and paths
        of files of one or many structures, of folders, or patterns.
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
    crystals = read(structures)
    spectra = predictor.spectra(_with_progress(crystals, progress), uncertainty)
    for spectrum in spectra:
        warn_about(spectrum)
    return spectra


def _with_progress(crystals: list[Crystal], progress: bool) -> Any:
    if not progress:
        return crystals
    from rich.progress import track

    return track(crystals, description="Predicting")
