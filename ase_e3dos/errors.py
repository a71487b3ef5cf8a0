"""Exceptions and warnings of the package: each says what, why and how to mend it."""

from __future__ import annotations

import reprlib
from importlib.util import find_spec

from ase.calculators.calculator import CalculatorSetupError, PropertyNotImplementedError


def shortly(value: object) -> str:
    """A value as a message shows it: not longer than a line, whatever it is.

    Parameters
    ----------
    value : object

    Returns
    -------
    str
    """
    try:
        return reprlib.repr(value)
    except ValueError:  # of a whole number with more digits than Python writes
        return f"<a {type(value).__name__} that is too long to write>"


class E3DOSError(Exception):
    """Base class of every error that this package raises on purpose."""


class CrystalError(E3DOSError, ValueError):
    """The input is not a crystal that can be predicted."""


class DisorderError(CrystalError):
    """Sites with mixed occupation meet an encoder that cannot take them."""


class UnreadableFileError(E3DOSError, OSError):
    """A structure file is missing, empty, or readable by neither ASE nor pymatgen."""


class PredictionError(E3DOSError, RuntimeError):
    """The network gave no usable spectrum (all zero, or not finite)."""


class SpectrumError(E3DOSError, ValueError):
    """A spectrum, grid or temperature is not valid."""


class MissingUnitError(SpectrumError):
    """A file does not say, or not clearly, which unit its frequencies or energies are in."""


class ImaginaryModesError(SpectrumError):
    """The spectrum has imaginary weight and the policy is to refuse it."""


class WeightsError(E3DOSError, ValueError):
    """A weights file is missing, damaged, or does not fit the network or encoder."""


class UnknownModelError(WeightsError):
    """No installed plug-in offers a model of this name."""


class DeviceError(E3DOSError, CalculatorSetupError):
    """The device asked for is not available."""


class PluginError(E3DOSError):
    """A plug-in is broken, of another API version, or claims a name that is taken."""


class PotentialError(E3DOSError, ValueError):
    """A calculator of forces is unknown or not installed, or fails on a crystal."""


class EncoderError(E3DOSError, ValueError):
    """An encoder is unknown, or gave features of the wrong shape or type."""


class AlloyError(E3DOSError, ValueError):
    """End members, fractions or comparisons that do not make an alloy."""


class DataError(E3DOSError, ValueError):
    """A data file lacks what training or evaluation needs."""


class TrainingError(E3DOSError, RuntimeError):
    """A training run cannot start or go on."""


class OutputError(E3DOSError, OSError):
    """A file cannot be written, or the ending of its name is unknown."""


class ScreeningError(E3DOSError, RuntimeError):
    """A screening run cannot start or go on."""


class MissingExtraError(E3DOSError, ImportError):
    """An optional dependency is needed; the message names the extra to install."""


def need_pyarrow(purpose: str) -> None:
    """Refuse what works on Parquet files or Arrow tables where pyarrow is not installed.

    Parameters
    ----------
    purpose : str
        What needs it, to begin the message with.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    if find_spec("pyarrow") is None:
        raise MissingExtraError(
            f'{purpose} needs pyarrow, which is not installed: pip install "ase-e3dos[parquet]".'
        )


class NotPredictedError(E3DOSError, PropertyNotImplementedError):
    """A quantity that a spectrum cannot give (bands, forces, eigenvectors, ...)."""


class E3DOSWarning(UserWarning):
    """Base class of every warning about the trust that a prediction deserves."""


class UnseenElementWarning(E3DOSWarning):
    """The weights never saw an element of this crystal."""


class TruncatedWeightWarning(E3DOSWarning):
    """Weight at the edge of the model's grid: the true spectrum may reach beyond."""


class ImaginaryWeightWarning(E3DOSWarning):
    """More than 1 % of the modes are imaginary."""


class CrowdedAtomsWarning(E3DOSWarning):
    """Atoms closer than half a bond length."""


class OutOfDistributionWarning(E3DOSWarning):
    """Geometry or ensemble disagreement far from the training data."""


class UnlikelyVolumeWarning(E3DOSWarning):
    """A cell much larger or smaller than crystals of its kind have, by data or by a potential."""


class ConvergenceWarning(E3DOSWarning):
    """Not converged: a calculated spectrum, its relaxation, or a supercell of force constants."""


class MagnetismWarning(E3DOSWarning):
    """Phonons that depend on magnetic order, about which the networks know nothing."""


class LowTemperatureWarning(E3DOSWarning):
    """A temperature at which the modes that matter lie within one bin of the grid."""


class IsotopeWarning(E3DOSWarning):
    """Masses that are not the standard ones were taken into account by scaling."""


class PartialOccupationWarning(E3DOSWarning):
    """Occupations that do not add to one: what is done about it stands in the message."""


class CompositionWarning(E3DOSWarning):
    """A file states other contents than the crystal that was read from it."""


class SymmetryWarning(E3DOSWarning):
    """A symmetry that a file leaves open or a crystal lacks: the message says what was taken."""


class MeasurementWarning(E3DOSWarning):
    """Points of a measured file were left out, or its unit or range hardly fits the prediction."""


class PassedOverWarning(E3DOSWarning):
    """A step of a script for phonopy was passed over, because it is not needed."""


class PluginWarning(E3DOSWarning):
    """A plug-in was skipped."""


class EnergyWarning(E3DOSWarning):
    """Energies of phases that are probably not per what they are said to be per."""


class ScreeningWarning(E3DOSWarning):
    """A screening run waits for something from outside."""
