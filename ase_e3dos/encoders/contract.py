"""What an encoder is: the contract that networks and third parties rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.crystal import Crystal
from ase_e3dos.errors import EncoderError

__all__ = ["Encoder", "encode_batch"]


@runtime_checkable
class Encoder(Protocol):
    """Turns the sites of a crystal into scalar node features.

    Features may depend on what sits on a site and on invariant geometry, never on the
    orientation or origin of the cell or on the order of the sites. Masses that are not the
    standard ones are none of an encoder's business: networks see `Crystal.standard_masses`, and
    isotopes are taken into account afterwards by scaling the site spectra.

    An encoder may also have ``encode_batch(crystals)``, which gives the features of all sites
    of all crystals, (sum of n_sites, n_features), in one go; the function `encode_batch` uses it
    where it is there. `ase_e3dos.testing.check_encoder` checks an implementation.
    """

    @property
    def name(self) -> str:
        """Name that models and weights files refer to."""
        ...

    @property
    def version(self) -> int:
        """Raised whenever the same crystal gets other features; weights files record it."""
        ...

    @property
    def n_features(self) -> int:
        """Number of features of a site."""
        ...

    @property
    def accepts_mixed(self) -> bool:
        """Whether sites may hold several species, or one with a fraction below one."""
        ...

    def settings(self) -> Mapping[str, Any]:
        """What distinguishes two encoders of one name; JSON can write it, weights record it."""
        ...

    def encode(self, crystal: Crystal) -> NDArray[np.float32]:
        """Features of the sites, shape (n_sites, n_features), float32 and finite.

        Raises
        ------
        DisorderError
            For mixed sites, unless `accepts_mixed`.
        """
        ...


def encode_batch(encoder: Encoder, crystals: Sequence[Crystal]) -> NDArray[np.float32]:
    """Features of the sites of all crystals, one crystal after the other.

    Parameters
    ----------
    encoder : Encoder
    crystals : sequence of Crystal

    Returns
    -------
    ndarray of float32, shape (sum of n_sites, n_features)

    Raises
    ------
    EncoderError
        If the encoder gives an array of another shape, or numbers that are not finite.
    """
    own = getattr(encoder, "encode_batch", None)
    if own is not None:
        features = own(crystals)
    else:
        parts = [encoder.encode(crystal) for crystal in crystals]
        features = np.concatenate(parts) if parts else np.zeros((0, encoder.n_features))
    features = np.asarray(features, dtype=np.float32)
    expected = (sum(crystal.n_sites for crystal in crystals), encoder.n_features)
    if features.shape != expected or not np.isfinite(features).all():
        fault = f"shape {features.shape} instead of {expected}"
        if features.shape == expected:
            fault = "features that are not finite"
        raise EncoderError(
            f"the encoder {encoder.name!r} gave {fault}. Run "
            "ase_e3dos.testing.check_encoder on it, and tell its authors."
        )
    return features
