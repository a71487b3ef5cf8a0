"""Errors of the package: each says what, why and how to mend it."""

from __future__ import annotations

from ase_e3dos.errors import E3DOSError, E3DOSWarning


class ThermochemistryError(E3DOSError, ValueError):
    """Base class of what this package raises on purpose."""


class EntriesError(ThermochemistryError):
    """Entries that make no phase diagram: unreadable, without structures, or without elements."""


class ReactionError(ThermochemistryError):
    """An equation that is not one, or whose species are not all known."""


class GasError(ThermochemistryError):
    """A gas that no source here knows, or a temperature outside its table."""


class FitError(ThermochemistryError):
    """A range, a function or a file that coefficients cannot be fitted over or written to."""


class MissingPackageError(ThermochemistryError, ImportError):
    """A package that is only needed for this is not installed."""


class HarmonicPhaseWarning(E3DOSWarning):
    """A phase whose predicted free energy is not that of a stable crystal."""
