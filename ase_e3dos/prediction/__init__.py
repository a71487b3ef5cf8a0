"""The whole idea in one function: structures in, phonon spectra out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal, overload

from ase_e3dos.errors import E3DOSError, PredictionError, shortly
from ase_e3dos.phonon_spectrum import PhononSpectrum, Spectra
from ase_e3dos.potentials.relaxation import FORCE
from ase_e3dos.prediction.notices import warn_about
from ase_e3dos.prediction.pipeline import Predictor, load_predictor
from ase_e3dos.prediction.relaxed import stream
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.reading import count, read_ahead

if TYPE_CHECKING:
    from ase.calculators.calculator import Calculator


def predict(
    structures: Any,
    model: str = "default",
    device: str = "auto",
    uncertainty: bool = True,
    progress: bool = False,
    encoder: str | None = None,
    *,
    relax: str | Calculator | None = None,
    fmax: float = FORCE,
) -> Spectra:
    """Predict the phonon density of states of any number of crystals.

    Parameters
    ----------
    structures : object, path or iterable of them
        One structure or many, in any mixture: whatever `ase_e3dos.structures.read` takes, such as
        ASE Atoms, pymatgen structures (ordered or not), PhonopyAtoms, Crystals, tables, and paths
        of files of one or many structures, of folders, or patterns.
    model : str, optional
        Name of a registered model (`e3dos models` lists them) or path of a weights file.
    device : str, optional
        "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1".
    uncertainty : bool, optional
        Give error bars. False leaves them out: no other values and no less time with `default`,
        whose members are heads of one network; of an ensemble of networks (`jarvis`) one answers,
        several times faster, with slightly other values, and without warnings that members
        disagree.
    progress : bool, optional
        Show a progress bar, in notebooks as one of theirs.
    encoder : str, optional
        Name of an encoder; by default the model's own, or its alloy form for mixed sites.
    relax : str or Calculator, optional
        Relax positions and cell before, with an ASE calculator or one of a name that
        ``e3dos plugins`` lists. The spectrum is of the relaxed crystal, which is its `crystal`;
        its `origin` says how it was relaxed and by how much the volume changed.
    fmax : float, optional
        Largest force after the relaxation, eV/Å.

    Returns
    -------
    Spectra
        A list of PhononSpectrum in the order given, which notebooks show as a table. For more of
        them than memory holds (some 30 kB each of ten sites,
        and more once their densities are asked for), `predict_iter` gives one after the other.

    Raises
    ------
    E3DOSError
        A structure cannot be predicted or relaxed (the message names it), or the model, device
        or calculator is not available.

    Examples
    --------
    >>> from ase.build import bulk
    >>> spectrum, = predict([bulk("NaCl", "rocksalt", a=5.64)])
    >>> spectrum.n_modes
    6.0
    """
    predictor = load_predictor(model, device, encoder)
    crystals = _with_progress(_crystals(structures, predictor), structures, progress)
    found = Spectra()
    for spectrum in stream(predictor, crystals, uncertainty, relax, fmax):
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
    relax: str | Calculator | None = ...,
    fmax: float = ...,
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
    relax: str | Calculator | None = ...,
    fmax: float = ...,
) -> Iterator[PhononSpectrum | E3DOSError]: ...


def predict_iter(
    structures: Any,
    model: str = "default",
    device: str = "auto",
    uncertainty: bool = True,
    encoder: str | None = None,
    *,
    errors: Literal["raise", "yield"] = "raise",
    relax: str | Calculator | None = None,
    fmax: float = FORCE,
) -> Iterator[PhononSpectrum | E3DOSError]:
    """`predict` for streams: one spectrum after the other, in memory that does not grow.

    Parameters
    ----------
    structures : object, path or iterable of them
        As for `predict`; an iterable, which may be endless, is read a batch ahead of the results.
    model, device, uncertainty, encoder
        As for `predict`.
    errors : {"raise", "yield"}, optional
        "raise" ends at the first structure that cannot be predicted; "yield" gives its error in
        its place and goes on.
    relax, fmax
        As for `predict`.

    Yields
    ------
    PhononSpectrum
        In the order given, each equal to what `predict` returns. With ``errors="yield"`` also
        E3DOSError.

    Raises
    ------
    E3DOSError
        At once: the model or device is not available, or `errors` is neither. Later: a structure
        cannot be predicted, unless `errors` is "yield".

    Examples
    --------
    >>> from ase.build import bulk
    >>> salts = (bulk("NaCl", "rocksalt", a=5.6 + k / 1000) for k in range(3))
    >>> [round(s.n_modes) for s in predict_iter(salts)]
    [6, 6, 6]
    """
    if errors not in ("raise", "yield"):
        raise PredictionError(
            f"errors is {shortly(errors)}. Give 'raise', to end at the first structure that cannot "
            "be predicted, or 'yield', to have its error in its place."
        )
    predictor = load_predictor(model, device, encoder)
    crystals = _crystals(structures, predictor)
    found = stream(predictor, crystals, uncertainty, relax, fmax)
    return _warned(found, errors)


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


def _crystals(structures: Any, predictor: Predictor) -> Iterator[Crystal | E3DOSError]:
    """Crystals, read no further ahead than a batch holds, and the errors in their places."""
    for reading in read_ahead(structures, predictor.batcher.usual_crystals):
        yield reading.crystal


def _with_progress(
    crystals: Iterator[Crystal | E3DOSError], structures: Any, progress: bool
) -> Iterable[Crystal | E3DOSError]:
    if not progress:
        return crystals
    from tqdm.auto import tqdm

    bar: Iterable[Crystal | E3DOSError] = tqdm(
        crystals, desc="Predicting", total=count(structures), unit="crystal"
    )
    return bar
