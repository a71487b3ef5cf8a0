"""What an encoder is: the contract that networks and third parties rely on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import packages_distributions
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.errors import E3DOSError, EncoderError
from ase_e3dos.structures.crystal import Crystal

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

        Parameters
        ----------
        crystal : Crystal

        Returns
        -------
        ndarray of float32, shape (n_sites, n_features)

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
        If the encoder fails, or gives an array of another shape or numbers that are not finite;
        the message names the encoder, its distribution and the crystal.
    DisorderError
        For mixed sites, unless the encoder accepts them.
    """
    own = getattr(encoder, "encode_batch", None)
    if own is not None:
        try:
            return _checked(encoder, crystals, own(crystals))
        except (E3DOSError, MemoryError):
            raise
        except (Exception, SystemExit) as error:
            for crystal in crystals:  # which one?
                _encoded(encoder, crystal)
            raise _failure(encoder, f"a batch of {len(crystals)} crystals", error) from error
    parts = [_encoded(encoder, crystal) for crystal in crystals]
    return np.concatenate(parts) if parts else np.zeros((0, encoder.n_features), dtype=np.float32)


def _encoded(encoder: Encoder, crystal: Crystal) -> NDArray[np.float32]:
    try:
        return _checked(encoder, [crystal], encoder.encode(crystal))
    except (E3DOSError, MemoryError):
        raise
    except (Exception, SystemExit) as error:  # a plug-in does not end the program
        raise _failure(encoder, crystal.name, error) from error


def _failure(encoder: Encoder, where: str, error: BaseException) -> EncoderError:
    return EncoderError(
        f"the encoder {encoder.name!r} of {_distribution(encoder)} fails for {where} "
        f"({type(error).__name__}: {error}). Run ase_e3dos.testing.check_encoder on it, and tell "
        "its authors."
    )


def _checked(encoder: Encoder, crystals: Sequence[Crystal], found: Any) -> NDArray[np.float32]:
    features = np.asarray(found, dtype=np.float32)
    expected = (sum(crystal.n_sites for crystal in crystals), encoder.n_features)
    if features.shape == expected and np.isfinite(features).all():
        return features
    where = crystals[0].name if len(crystals) == 1 else f"a batch of {len(crystals)} crystals"
    fault = f"shape {features.shape} instead of {expected}"
    if features.shape == expected:
        fault = "features that are not finite"
        bad = ~np.isfinite(features).all(axis=1)
        sites = np.repeat(np.arange(len(crystals)), [crystal.n_sites for crystal in crystals])
        where = crystals[sites[bad.argmax()]].name
    raise EncoderError(
        f"the encoder {encoder.name!r} of {_distribution(encoder)} gave {fault} for {where}. Run "
        "ase_e3dos.testing.check_encoder on it, and tell its authors."
    )


def _distribution(encoder: Encoder) -> str:
    """Distribution that an encoder comes from, or its module where none has it."""
    module = type(encoder).__module__
    return ", ".join(packages_distributions().get(module.partition(".")[0], [module]))
