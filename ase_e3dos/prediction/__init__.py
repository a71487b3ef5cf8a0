"""The whole idea in one function: structures in, phonon spectra out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sized
from os import PathLike
from typing import Any, Literal, overload

from ase_e3dos.errors import E3DOSError
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
        In the order given. For more of them than memory holds (some 30 kB each), `predict_iter`
        gives one after the other.

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
    found = []
    crystals = _read(_with_progress(_listed(structures), progress))
    for spectrum in predictor.stream(crystals, uncertainty):
        if isinstance(spectrum, E3DOSError):
            raise spectrum
        found.append(spectrum)
    for spectrum in found:
        warn_about(spectrum)
    return found


@overload
def predict_iter(
    structures: Any,
    model: str = ...,
    device: str = ...,
    uncertainty: bool = ...,
    encoder: str | None = ...,
    *,
    errors: Literal["raise"] = ...,
) -> Iterator[PhononSpectrum]: ...


@overload
def predict_iter(
    structures: Any,
    model: str = ...,
    device: str = ...,
    uncertainty: bool = ...,
    encoder: str | None = ...,
    *,
    errors: Literal["yield"],
) -> Iterator[PhononSpectrum | E3DOSError]: ...


def predict_iter(
    structures: Any,
    model: str = "default",
    device: str = "auto",
    uncertainty: bool = True,
    encoder: str | None = None,
    *,
    errors: Literal["raise", "yield"] = "raise",
) -> Iterator[PhononSpectrum | E3DOSError]:
    """`predict` for streams: one spectrum after the other, in memory that does not grow.

    Parameters
    ----------
    structures
        As for `predict`; an iterable, which may be endless, is read a batch ahead of the results.
    model, device, uncertainty, encoder
        As for `predict`.
    errors
        "raise" ends at the first structure that cannot be predicted; "yield" gives its error in
        its place and goes on.

    Yields
    ------
    PhononSpectrum
        In the order given, each equal to what `predict` returns. With ``errors="yield"`` also
        E3DOSError.

    Raises
    ------
    E3DOSError
        At once: the model or device is not available. Later: a structure cannot be predicted,
        unless `errors` is "yield".

    Examples
    --------
    >>> from ase.build import bulk
    >>> salts = (bulk("NaCl", "rocksalt", a=5.6 + k / 1000) for k in range(3))
    >>> [round(s.n_modes) for s in predict_iter(salts)]
    [6, 6, 6]
    """
    predictor = load_predictor(model, device, encoder)
    return _warned(predictor.stream(_read(_listed(structures)), uncertainty), errors)


def _warned(
    predicted: Iterator[PhononSpectrum | E3DOSError], errors: str
) -> Iterator[PhononSpectrum | E3DOSError]:
    """Issue the warnings of a spectrum when its turn comes."""
    for spectrum in predicted:
        if not isinstance(spectrum, E3DOSError):
            warn_about(spectrum)
        elif errors == "raise":
            raise spectrum
        yield spectrum


def _read(structures: Iterable[Any]) -> Iterator[Crystal | E3DOSError]:
    for i, structure in enumerate(structures):
        try:
            yield Crystal.quietly(structure, _name(structure, i))
        except E3DOSError as error:
            yield error


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


def _with_progress(structures: Iterable[Any], progress: bool) -> Iterable[Any]:
    if not progress:
        return structures
    from rich.progress import track

    total = len(structures) if isinstance(structures, Sized) else None
    return track(structures, description="Predicting", total=total)
