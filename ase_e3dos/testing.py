"""Conformance kit for third parties: whether an encoder keeps the contract, and e3nn agrees.

Needs no test framework: call `check_encoder` in a test of your own.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.encoders.contract import Encoder, encode_batch
from ase_e3dos.errors import DisorderError, EncoderError, WeightsError
from ase_e3dos.plugins import EncoderSpec, get_registry
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.json_text import parse_json

__all__ = ["check_encoder", "check_harmonics", "sample_crystals"]

_TOLERANCE = 1e-5
_CORNER_AND_CENTRE = np.array([[0.0] * 3, [0.5] * 3])


def check_encoder(
    encoder: Encoder | EncoderSpec, elements: Iterable[int] = range(1, 84)
) -> tuple[str, ...]:
    """Check that an encoder keeps the contract of `ase_e3dos.encoders.Encoder`.

    Parameters
    ----------
    encoder : Encoder or EncoderSpec
        With a spec, the factory and the declarations are checked as well.
    elements : iterable of int, optional
        Atomic numbers that the encoder must know; H to Bi if not given. Each needs features that
        are finite and differ from those of the others, for a network can tell elements apart by
        them alone.

    Returns
    -------
    tuple of str
        Names of the checks passed.

    Raises
    ------
    EncoderError
        If a check fails; the message lists all that failed, with what was seen.

    Notes
    -----
    Invariance under rotation, inversion, translation and permutation, agreement with supercells and
    batches, determinism and pickling are checked on a crystal with a mixed site as well where
    `accepts_mixed`. "device" copies the features to each device that PyTorch has here and back, and
    is passed by default where PyTorch is not installed.

    Examples
    --------
    >>> from ase_e3dos.encoders import MassOneHot
    >>> "rotation" in check_encoder(MassOneHot())
    True
    """
    spec = encoder if isinstance(encoder, EncoderSpec) else None
    instance = spec.factory() if spec is not None else encoder
    if not isinstance(instance, Encoder):
        wanted = "name, version, n_features, accepts_mixed, settings() and encode(crystal)"
        raise EncoderError(
            f"{instance!r} is not an encoder: it needs {wanted}; see ase_e3dos.encoders.Encoder."
        )
    checks: dict[str, Callable[[], str]] = {
        "attributes": lambda: _attributes(instance),
        "array": lambda: _array(instance),
        "elements": lambda: _elements(instance, elements),
        "determinism": lambda: _unchanged(instance, lambda crystal: crystal),
        "rotation": lambda: _unchanged(instance, _rotated),
        "inversion": lambda: _unchanged(instance, _inverted),
        "translation": lambda: _unchanged(instance, _translated),
        "permutation": lambda: _permutation(instance),
        "supercell": lambda: _supercell(instance),
        "isotopes": lambda: _unchanged(instance, _heavier),
        "batch": lambda: _batch(instance),
        "device": lambda: _device(instance),
        "pickling": lambda: _same_features(instance, pickle.loads(pickle.dumps(instance))),
        "settings": lambda: _settings(instance, spec),
        "mixed sites": lambda: _mixed(instance),
    }
    if spec is not None:
        checks["spec"] = lambda: _spec(instance, spec)
        checks["serves"] = lambda: _serves(instance, spec)
    failures = []
    for name, check in checks.items():
        try:
            fault = check()
        except Exception as error:  # noqa: BLE001 - whatever an encoder raises is a finding
            fault = f"{type(error).__name__}: {error}"
        if fault:
            failures.append(f"{name}: {fault}")
    if failures:
        raise EncoderError(
            f"the encoder {getattr(instance, 'name', instance)!r} fails {len(failures)} of "
            f"{len(checks)} checks:\n  " + "\n  ".join(failures)
        )
    return tuple(checks)


def sample_crystals() -> list[Crystal]:
    """Ordered crystals for the checks: cubic, skewed, left-handed and without symmetry."""
    rng = np.random.default_rng(7)
    salt = Crystal(2.8 * (1 - np.eye(3)), _CORNER_AND_CENTRE, [0, 1], [11, 17], name="NaCl")
    perovskite = Crystal(
        3.9 * np.eye(3),
        np.concatenate([_CORNER_AND_CENTRE, 0.5 * (1 - np.eye(3))]),
        range(5),
        [38, 22, 8, 8, 8],
        name="SrTiO3",
    )
    skewed = Crystal(
        [[4.0, 0.0, 0.0], [7.5, 4.2, 0.0], [1.0, -6.0, 4.4]],
        (np.arange(4)[:, None] / 4 + 0.02 * rng.normal(size=(4, 3))) % 1.0,
        range(4),
        [3, 15, 26, 8],
        name="a skewed cell",
    )
    left = Crystal(np.diag([3.2, 3.2, -5.2]), _CORNER_AND_CENTRE * [0.6, 1.2, 1], [0, 1], [30, 16])
    return [salt, perovskite, skewed, left]


def _crystals(encoder: Encoder) -> list[Crystal]:
    """The ordered samples, and one with a mixed site for an encoder that accepts it."""
    if encoder.accepts_mixed is not True:
        return sample_crystals()
    mixed = Crystal(
        [[4.1, 0.0, 0.0], [0.7, 4.3, 0.0], [-0.4, 0.9, 4.8]],
        _CORNER_AND_CENTRE + 0.03,
        [0, 0, 1],
        [51, 83, 12],
        [0.3, 0.7, 1.0],
        name="a mixed cell",
    )
    return [*sample_crystals(), mixed]


def _attributes(encoder: Encoder) -> str:
    if not (isinstance(encoder.name, str) and encoder.name):
        return f"name must be a string that is not empty, not {encoder.name!r}"
    if not (type(encoder.version) is int and encoder.version >= 1):
        return f"version must be an integer from 1 on, not {encoder.version!r}"
    if not (type(encoder.n_features) is int and encoder.n_features >= 1):
        return f"n_features must be an integer from 1 on, not {encoder.n_features!r}"
    if not isinstance(encoder.accepts_mixed, bool):
        return f"accepts_mixed must be True or False, not {encoder.accepts_mixed!r}"
    return ""


def _array(encoder: Encoder) -> str:
    for crystal in _crystals(encoder):
        features: Any = encoder.encode(crystal)
        if type(features) is not np.ndarray:
            return f"encode must give a NumPy array (any device can take it), not {type(features)}"
        if features.dtype != np.float32:
            return f"the features must be float32, not {features.dtype}"
        if features.shape != (crystal.n_sites, encoder.n_features):
            expected = (crystal.n_sites, encoder.n_features)
            return f"the features of {crystal.name} have shape {features.shape}, not {expected}"
        if not np.isfinite(features).all():
            return f"the features of {crystal.name} are not all finite"
        if not features.flags.c_contiguous:
            return "the features must be contiguous in memory"
    return ""


def _elements(encoder: Encoder, elements: Iterable[int]) -> str:
    seen: dict[bytes, int] = {}
    for z in elements:
        features = encoder.encode(Crystal(4.0 * np.eye(3), [[0.0] * 3], [0], [z]))
        if not np.isfinite(features).all():
            return f"the features of element {z} are not all finite"
        if seen.setdefault(features.tobytes(), z) != z:
            return f"elements {seen[features.tobytes()]} and {z} have the same features"
    return ""


def _unchanged(encoder: Encoder, change: Callable[[Crystal], Crystal]) -> str:
    for crystal in _crystals(encoder):
        fault = _compare(encoder.encode(crystal), encoder.encode(change(crystal)), crystal.name)
        if fault:
            return fault
    return ""


def _rotated(crystal: Crystal) -> Crystal:
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_euler("zyx", [0.4, 1.1, -2.3]).as_matrix()
    return replace(crystal, cell=crystal.cell @ rotation.T)


def _inverted(crystal: Crystal) -> Crystal:
    return replace(crystal, scaled_positions=-crystal.scaled_positions)


def _translated(crystal: Crystal) -> Crystal:
    shift = np.array([0.21, 0.55, -0.34])
    return replace(crystal, scaled_positions=crystal.scaled_positions + shift)


def _heavier(crystal: Crystal) -> Crystal:
    return replace(crystal, species_mass=1.1 * crystal.species_mass)


def _permutation(encoder: Encoder) -> str:
    for crystal in _crystals(encoder):
        order = np.arange(crystal.n_sites)[::-1]
        species = np.argsort(order[crystal.species_site], kind="stable")
        turned = replace(
            crystal,
            scaled_positions=crystal.scaled_positions[order],
            species_site=order[crystal.species_site][species],
            species_number=crystal.species_number[species],
            species_fraction=crystal.species_fraction[species],
            species_mass=crystal.species_mass[species],
        )
        fault = _compare(encoder.encode(crystal)[order], encoder.encode(turned), crystal.name)
        if fault:
            return fault
    return ""


def _supercell(encoder: Encoder) -> str:
    for crystal in _crystals(encoder):
        shift = np.array([0.5, 0.0, 0.0])
        half = crystal.scaled_positions * [0.5, 1.0, 1.0]
        double = replace(
            crystal,
            cell=crystal.cell * [[2.0], [1.0], [1.0]],
            scaled_positions=np.concatenate([half, half + shift]),
            species_site=np.concatenate(
                [crystal.species_site, crystal.species_site + crystal.n_sites]
            ),
            species_number=np.tile(crystal.species_number, 2),
            species_fraction=np.tile(crystal.species_fraction, 2),
            species_mass=np.tile(crystal.species_mass, 2),
        )
        expected = np.tile(encoder.encode(crystal), (2, 1))
        fault = _compare(expected, encoder.encode(double), crystal.name)
        if fault:
            return fault
    return ""


def _batch(encoder: Encoder) -> str:
    crystals = _crystals(encoder)
    single = np.concatenate([encoder.encode(crystal) for crystal in crystals])
    return _compare(single, encode_batch(encoder, crystals), "a batch")


def _device(encoder: Encoder) -> str:
    """Features are plain numbers: any device takes them and gives the same ones back."""
    try:
        import torch
    except ImportError:
        return ""
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices.append("cuda")
    if torch.backends.mps.is_available():
        devices.append("mps")
    for crystal in _crystals(encoder):
        features = np.require(encoder.encode(crystal), requirements="W")  # torch warns otherwise
        for device in devices:
            back = torch.as_tensor(features).to(device, copy=True).cpu().numpy()
            if back.dtype != features.dtype or not np.array_equal(back, features, equal_nan=True):
                return f"the features of {crystal.name} come back changed from {device}"
    return ""


def _same_features(encoder: Encoder, other: Encoder, pure: bool = False) -> str:
    for crystal in sample_crystals() if pure else _crystals(encoder):
        fault = _compare(encoder.encode(crystal), other.encode(crystal), crystal.name)
        if fault:
            return fault
    return ""


def _settings(encoder: Encoder, spec: EncoderSpec | None) -> str:
    settings = dict(encoder.settings())
    if parse_json(json.dumps(settings)) != settings:
        return f"settings() must survive JSON, and {settings!r} does not"
    return "" if spec is None else _same_features(encoder, spec.factory(**settings))


def _spec(encoder: Encoder, spec: EncoderSpec) -> str:
    for attribute in ("name", "version", "accepts_mixed"):
        declared, own = getattr(spec, attribute), getattr(encoder, attribute)
        if declared != own:
            return f"the spec says {attribute} = {declared!r}, the encoder {own!r}"
    return ""


def _serves(encoder: Encoder, spec: EncoderSpec) -> str:
    """Equal features on pure sites to the encoders whose models it is to serve."""
    for name in spec.serves:
        fault = _same_features(get_registry().encoder(name), encoder, pure=True)
        if fault:
            return f"it is to serve models trained with {name!r}, but on {fault}"
    return ""


def _mixed(encoder: Encoder) -> str:
    def mixed(fraction: float) -> Crystal:
        fractions = [fraction, 1 - fraction] if fraction < 1 else [1.0]
        n = len(fractions)
        sites, numbers = [0] * n + [1], [*[51, 83][:n], 12]
        return Crystal(
            4.0 * np.eye(3), _CORNER_AND_CENTRE, sites, numbers, [*fractions, 1.0], name="mixed"
        )

    if not encoder.accepts_mixed:
        try:
            encoder.encode(mixed(0.5))
        except DisorderError:
            return ""
        return "accepts_mixed is False, so mixed sites must raise DisorderError"
    features = encoder.encode(mixed(0.5))
    if features.shape != (2, encoder.n_features) or not np.isfinite(features).all():
        return f"a crystal with a mixed site gives shape {features.shape} or features not finite"
    swapped = Crystal(4.0 * np.eye(3), _CORNER_AND_CENTRE, [1, 0, 0], [12, 83, 51], [1.0, 0.5, 0.5])
    fault = _compare(features, encoder.encode(swapped), "species in another order")
    return fault or _compare(
        encoder.encode(mixed(1.0)), encoder.encode(mixed(1 - 1e-7)), "the limit of a pure site"
    )


def _compare(expected: NDArray[np.float32], got: NDArray[np.float32], where: str) -> str:
    if expected.shape != got.shape:
        return f"{where}: shapes {expected.shape} and {got.shape}"
    difference = float(abs(expected.astype(float) - got).max(initial=0.0))
    scale = max(1.0, float(abs(expected).max(initial=0.0)))
    if not difference <= _TOLERANCE * scale:
        return f"{where}: features differ by {difference:.3g}"
    return ""


def check_harmonics(tolerance: float = 1e-6) -> tuple[str, ...]:
    """Check the harmonics and couplings of the networks against those of the installed e3nn.

    The networks have closed forms, because e3nn takes longer to import than a crystal to predict;
    this is where e3nn says whether they are right.

    Parameters
    ----------
    tolerance : float, optional
        Of each number, of order one.

    Returns
    -------
    tuple of str
        What was compared.

    Raises
    ------
    WeightsError
        If a harmonic or a coupling differs: no weights would mean what they meant.

    Examples
    --------
    >>> "harmonics up to l = 2" in check_harmonics()
    True
    """
    import itertools

    import torch
    from e3nn import o3

    from ase_e3dos.network import harmonics

    vectors = torch.from_numpy(np.random.default_rng(0).normal(size=(64, 3)))
    ours = harmonics.spherical_harmonics(vectors, vectors.norm(dim=-1), 2)
    theirs = o3.spherical_harmonics([0, 1, 2], vectors, normalize=True, normalization="component")
    compared = {"harmonics up to l = 2": float((ours - theirs).abs().max())}
    for degrees in itertools.product(range(3), repeat=3):
        try:
            found = harmonics.coupling(*degrees).double()
        except ValueError:  # the networks have no such coupling
            continue
        symbol = o3.wigner_3j(*degrees).double() * np.sqrt(2 * degrees[2] + 1)
        differences = [float((found - sign * symbol).abs().max()) for sign in (1, -1)]
        compared["coupling {} x {} -> {}".format(*degrees)] = min(differences)
    wrong = [f"{what} ({error:.1e})" for what, error in compared.items() if not error < tolerance]
    if wrong:
        raise WeightsError(
            f"the networks differ from e3nn in {', '.join(wrong)}. The installation is damaged, or "
            "one of the two has changed its conventions: install both again, or tell the authors."
        )
    return tuple(compared)
