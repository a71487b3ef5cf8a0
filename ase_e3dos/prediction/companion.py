"""The model beside a network that is alone: their difference is what error bars are made of."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ase_e3dos.errors import E3DOSWarning, UnknownModelError, WeightsError
from ase_e3dos.network.weights import WeightsHeader, read_header, weights_digest

if TYPE_CHECKING:
    from ase_e3dos.plugins.manager import PluginRegistry

__all__ = ["companion_weights"]


def companion_weights(path: Path, name: str, registry: PluginRegistry) -> Path | None:
    """Weights file of the companion that a model's header names, or None.

    Parameters
    ----------
    path : Path
        Weights file of the model.
    name : str
        Its name, for messages.
    registry : PluginRegistry
        Knows the companion.

    Returns
    -------
    Path or None
        None also, with an `E3DOSWarning`, where the companion is not there or not the one that the
        error bars were calibrated beside: then there are none.

    Raises
    ------
    WeightsError
        The model's file cannot be read, or the companion has another grid or encoder.
    """
    header = read_header(path)
    if not header.companion:
        return None
    other, digest = (header.companion.get(key, "") for key in ("model", "sha256"))
    try:
        found = registry.resolve_model(other).weights_path()
        same = weights_digest(found) == digest
    except UnknownModelError:
        same = False
    if not same:
        warnings.warn(
            E3DOSWarning(
                f"model {name!r} has no error bars here: they were calibrated beside the weights "
                f"{digest[:12]} of the model {other!r}, which are not those that are installed. "
                "Calibrate them again (python docs/models/calibrate_force_constants.py)."
            ),
            stacklevel=4,
        )
        return None
    _check_alike(header, read_header(found), name, other)
    return found


def _check_alike(header: WeightsHeader, companion: WeightsHeader, name: str, other: str) -> None:
    for field in ("grid", "encoder", "encoder_version", "encoder_settings"):
        if getattr(header, field) != getattr(companion, field):
            raise WeightsError(
                f"model {name!r}: its companion {other!r} has another {field.replace('_', ' ')}, "
                "so that their spectra cannot be compared. Tell who made its weights file."
            )
    if companion.network != "site":
        raise WeightsError(
            f"model {name!r}: its companion {other!r} is a network of kind {companion.network!r}; "
            "only one of sites' spectra can be one. Tell who made its weights file."
        )
