"""Force constants of one crystal by a network that gives them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from ase_e3dos.errors import E3DOSWarning, IsotopeWarning, PredictionError
from ase_e3dos.network.device import resolve_device
from ase_e3dos.network.force_constants import ForceConstantNetwork
from ase_e3dos.network.precision import without_autocast
from ase_e3dos.network.springs import ForceConstants, crystal_springs
from ase_e3dos.network.weights import read_header
from ase_e3dos.prediction.pipeline import load_predictor
from ase_e3dos.prediction.trust import assess_batch
from ase_e3dos.structures.crystal import Crystal

__all__ = ["doubts", "force_constants_of", "gives_force_constants"]

#: Modes nearer to zero than this are acoustic ones at the zone's centre, cm^-1.
_NEAR_ZERO = 5.0


def gives_force_constants(model: str | Path, device: str = "auto") -> bool:
    """Whether a model is a network of force constants.

    Parameters
    ----------
    model : str or Path
        Name of a model, or a weights file.
    device : str, optional
        Where it shall be loaded; only the file's header is read here.

    Returns
    -------
    bool

    Raises
    ------
    UnknownModelError, WeightsError, DeviceError
        The model, its file or the device is not there or does not fit.
    """
    from ase_e3dos.plugins import get_registry

    resolve_device(device)
    header = read_header(get_registry().resolve_model(model).weights_path())
    return header.network == ForceConstantNetwork.kind


def force_constants_of(crystal: Crystal, model: str | Path, device: str = "auto") -> ForceConstants:
    """Force constants, Born charges and dielectric tensor of a crystal.

    Parameters
    ----------
    crystal : Crystal
        Any cell of it.
    model : str or Path
        Name or weights file of a model of force constants.
    device : str, optional
        Where the network runs. The result is on the CPU, in float64.

    Returns
    -------
    ForceConstants
        Sites in the order of the crystal.

    Raises
    ------
    PredictionError
        The model gives spectra alone, or something that is not finite.
    E3DOSError
        The crystal cannot be predicted.
    """
    predictor = load_predictor(model, device)
    network = predictor.model.members[0]
    if not isinstance(network, ForceConstantNetwork):
        raise PredictionError(
            f"model {predictor.name!r} predicts spectra and no force constants. Take "
            "model='force-constants'."
        )
    batch = predictor.collated([predictor.graph(crystal)])
    with torch.inference_mode(), without_autocast(predictor.model.device):
        on_device = batch.to(predictor.model.device)
        found = network.springs(on_device, predictor.model.source)
        (springs,) = crystal_springs(found, on_device)
        constants = springs.cpu().double().force_constants()
    if not all(
        bool(t.isfinite().all())
        for t in (constants.blocks, constants.balance, constants.born, constants.dielectric)
    ):
        raise PredictionError(
            f"{crystal.name}: the network gives force constants that are not finite."
        )
    return constants


def doubts(
    crystal: Crystal, wavenumbers: NDArray[np.float64], model: str | Path, device: str = "auto"
) -> tuple[E3DOSWarning, ...]:
    """What is unusual about a crystal and its modes, as `predict` says it of a spectrum.

    Parameters
    ----------
    crystal : Crystal
        What the force constants are of.
    wavenumbers : ndarray
        Of modes at wave vectors that stand for all, cm^-1, of any shape.
    model, device
        As for `force_constants_of`, whose errors this raises.

    Returns
    -------
    tuple of E3DOSWarning
        The most serious first; nothing of masses, which force constants do not depend on.
    """
    predictor = load_predictor(model, device)
    header = predictor.model.header
    real = np.where(np.abs(wavenumbers) < _NEAR_ZERO, _NEAR_ZERO, wavenumbers).ravel()
    place = np.rint((real - header.grid.start) / header.grid.step).astype(int)
    counts = np.bincount(place.clip(0, header.grid.n - 1), minlength=header.grid.n)
    shares = counts / counts.sum()
    (found,) = assess_batch([predictor.graph(crystal)], header, shares[None], None)
    return tuple(w for w in found if not isinstance(w, IsotopeWarning))
