"""Weights files: safetensors with a JSON header, nothing in them can run.

The header (safetensors metadata, key ``ase_e3dos``) holds everything a prediction needs besides
the numbers: network and settings, grid, encoder with its version, data sources, elements of the
training data, calibration, units, training-set hash, licence and citation.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.errors import WeightsError
from ase_e3dos.network.header_checks import header_fault
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.structures.paths import is_file

FORMAT = "ase-e3dos-weights/1"


@dataclass(frozen=True)
class GridHeader:
    """A uniform frequency grid.

    Attributes
    ----------
    start, step : float
        cm^-1.
    n : int
        Number of points.
    """

    start: float
    step: float
    n: int

    @cached_property
    def wavenumbers(self) -> NDArray[np.float64]:
        """Grid points in cm^-1, shape (n,), read-only."""
        points = self.start + self.step * np.arange(self.n, dtype=np.float64)
        points.flags.writeable = False
        return points


@dataclass(frozen=True)
class WeightsHeader:
    """What a weights file says about itself.

    Attributes
    ----------
    network : str
        Kind of network: "paper", "site", "force-constants" or "combined".
    settings : dict
        Its sizes, or dicts with those of its parts.
    other_settings : dict of str to dict
        Sizes of the networks that differ from the first, by their number as a string.
    members : int
        Networks in the ensemble.
    grid : GridHeader
        Frequencies of the output.
    encoder, encoder_version, encoder_settings
        The encoder that the features must come from.
    sources : list of str
        Names of the data sources, in the order of the network's embedding.
    elements : dict of str to int
        Training crystals (of the first source) that contain each element, by atomic number
        as a string.
    label_like : bool
        Whether the output is already smoothed as the paper's labels are.
    calibration : dict or None
        Error model of the ensemble, or None (`ase_e3dos.spectrum.uncertainty.Calibration`).
    distilled : bool
        Whether one further network, last in the file, stands for the ensemble's mean.
    trust : dict of str to list of float
        Limits beyond which `ase_e3dos.prediction.trust` warns: "filling" (low, high),
        "disagreement" (high,); "alone" (the elements that the data of its method have crystals of),
        "bonds" (pairs of elements that were seen next to each other, `prediction.bonds`).
    trained_on : dict of str to str
        SHA-256 of each training file by its name.
    parts : dict of str to dict of str to str
        Of a network that others make up, by its prefix to their tensors: "file", the name of
        their weights file in the same folder, and "sha256", that file's `weights_digest`.
    companion : dict of str to str
        Of a network alone: "model", whose spectra are a second member behind its error bars, and
        "sha256" of the weights of that model which these were calibrated beside; else empty.
    parent, own_elements, own_files
        Of a fine-tuned network: the model that it began from, and what its own data add to
        `elements` and `trained_on`; empty otherwise.
    units, licence, citation, description : str
        For the reader.
    """

    network: str
    settings: dict[str, Any]
    members: int
    grid: GridHeader
    encoder: str
    encoder_version: int
    encoder_settings: dict[str, Any] = field(default_factory=dict)
    other_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    sources: list[str] = field(default_factory=lambda: ["dfpt"])
    elements: dict[str, int] = field(default_factory=dict)
    label_like: bool = False
    calibration: dict[str, Any] | None = None
    distilled: bool = False
    trust: dict[str, list[float]] = field(default_factory=dict)
    trained_on: dict[str, str] = field(default_factory=dict)
    parts: dict[str, dict[str, str]] = field(default_factory=dict)
    companion: dict[str, str] = field(default_factory=dict)
    parent: str = ""
    own_elements: dict[str, int] = field(default_factory=dict)
    own_files: dict[str, str] = field(default_factory=dict)
    units: str = "grid in cm^-1; weights are shares of the modes in each bin"
    licence: str = ""
    citation: str = ""
    description: str = ""
    format: str = FORMAT

    @cached_property
    def seen(self) -> NDArray[np.bool_]:
        """Whether training data had an element, by atomic number, shape (119,)."""
        present = [int(z) for z, count in self.elements.items() if count]
        return np.isin(np.arange(119), present)

    def settings_of(self, number: int) -> dict[str, Any]:
        """Sizes of one network, by its number in the file.

        Parameters
        ----------
        number : int

        Returns
        -------
        dict
        """
        return self.other_settings.get(str(number), self.settings)


def save_weights(
    path: str | Path,
    header: WeightsHeader,
    members: list[dict[str, Any]],
    half: bool = False,
) -> None:
    """Write an ensemble.

    Parameters
    ----------
    path : str or Path
        File to write; replaced only when the new one is complete.
    header : WeightsHeader
        Its `members` (and `distilled`) must fit the list.
    members : list of dict
        State dicts, the distilled network last if there is one. Stored in float32.
    half : bool, optional
        Store matrices in float16: half the size, and values rounded by 2^-12 of themselves at
        most. Networks compute in float32 all the same.

    Raises
    ------
    WeightsError
        The number of state dicts is not what the header says, or a value is not finite.
    """
    import torch

    if len(members) != header.members + header.distilled:
        raise WeightsError(
            f"{path}: {len(members)} networks given, the header speaks of "
            f"{header.members + header.distilled}."
        )
    tensors = {}
    for number, state in enumerate(members):
        for name, value in state.items():
            dtype = torch.float16 if half and value.dim() > 1 else torch.float32
            tensor = value.detach().cpu().to(dtype).contiguous().clone()
            if not bool(tensor.isfinite().all()):
                raise WeightsError(f"{path}: {name} of network {number} is not finite.")
            tensors[f"{number}.{name}"] = tensor
    _write(Path(path), header, tensors)


def replace_header(path: str | Path, header: WeightsHeader) -> None:
    """Give a weights file another header, its tensors as they are.

    Parameters
    ----------
    path : str or Path
        Weights file; replaced only when the new one is complete.
    header : WeightsHeader
        For the same networks.

    Raises
    ------
    WeightsError
        The file is not sound.
    """
    from safetensors.torch import load_file

    load_weights(path)  # whole, and unchanged since it was written
    _write(Path(path), header, load_file(path))


def _write(file: Path, header: WeightsHeader, tensors: dict[str, Any]) -> None:
    from safetensors.torch import save

    content = asdict(header)
    metadata = {
        "ase_e3dos": json.dumps(content, sort_keys=True, separators=(",", ":")),
        "sha256": _digest(content, tensors),
    }
    temporary = file.with_name(file.name + ".tmp")
    temporary.write_bytes(_with_sorted_metadata(save(tensors, metadata)))
    temporary.chmod(0o644)  # other users read weights, whatever the umask says
    temporary.replace(file)


def _with_sorted_metadata(content: bytes) -> bytes:
    """A safetensors file whose metadata are in one order: the library's own differs by process."""
    size = int.from_bytes(content[:8], "little")
    header = parse_json(content[8 : 8 + size])
    header = {"__metadata__": dict(sorted(header.pop("__metadata__").items())), **header}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the tensors begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def load_weights(path: str | Path) -> tuple[WeightsHeader, list[dict[str, Any]]]:
    """Read an ensemble and check that it is whole.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    header, members
        State dicts of float32 torch tensors on the CPU.

    Raises
    ------
    WeightsError
        Missing, truncated, changed since it was written, or of another format.
    """
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    if not is_file(file):
        raise WeightsError(f"{file}: no such weights file. Check the path or the model's name.")
    try:
        with safe_open(file, framework="pt") as handle:
            metadata = handle.metadata() or {}
            tensors = {name: handle.get_tensor(name) for name in handle.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError) as error:
        raise WeightsError(
            f"{file}: not a readable safetensors file ({error}). Copy or download it again."
        ) from error
    header, content = _header(file, metadata)
    if _digest(content, tensors) != metadata.get("sha256"):
        raise WeightsError(
            f"{file}: the checksum does not fit, so the file was changed after it was written. "
            "Copy or download it again."
        )
    members: list[dict[str, Any]] = [{} for _ in range(header.members + header.distilled)]
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        if not number.isdecimal() or int(number) >= len(members) or not key:
            raise WeightsError(f"{file}: unexpected tensor {name!r}.")
        members[int(number)][key] = tensor.float()
    for prefix, part in header.parts.items():
        members[0] |= {f"{prefix}.{key}": v for key, v in _part(file, part).items()}
    return header, members


def _part(file: Path, part: dict[str, str]) -> dict[str, Any]:
    """Tensors of one network that a file takes from another one beside it."""
    other = file.with_name(part["file"])
    if not is_file(other):
        raise WeightsError(f"{file}: its part {other.name} is not beside it. Copy both.")
    if weights_digest(other) != part["sha256"]:
        raise WeightsError(
            f"{file}: {other.name} beside it is not the file that it was made of. Make it anew "
            "(python docs/models/combine.py), or copy both from one place."
        )
    header, members = load_weights(other)
    if header.parts or len(members) != 1:
        raise WeightsError(f"{file}: its part {other.name} should hold one network.")
    return members[0]


def read_header(path: str | Path) -> WeightsHeader:
    """Read the header alone (fast, and without importing torch).

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    WeightsHeader

    Raises
    ------
    WeightsError
        As `load_weights`, the checksum excepted.
    """
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    if not is_file(file):
        raise WeightsError(f"{file}: no such weights file. Check the path or the model's name.")
    try:
        with safe_open(file, framework="numpy") as handle:
            return _header(file, handle.metadata() or {})[0]
    except (SafetensorError, OSError, ValueError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{file}: not a readable safetensors file ({error}).") from error


def weights_digest(path: str | Path) -> str:
    """SHA-256 that a weights file carries of its own content (checked when it is loaded).

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    str

    Raises
    ------
    WeightsError
        The file cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    try:
        with safe_open(file, framework="numpy") as handle:
            digest = (handle.metadata() or {}).get("sha256")
        return digest or hashlib.sha256(file.read_bytes()).hexdigest()
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{file}: not a readable weights file ({error}).") from error


def _header(file: Path, metadata: dict[str, str]) -> tuple[WeightsHeader, dict[str, Any]]:
    try:
        content = parse_json(metadata["ase_e3dos"])
        if content["format"] != FORMAT:
            raise WeightsError(
                f"{file}: format {content['format']!r}, this version reads {FORMAT!r}. "
                "Update ase-e3dos or export the weights again."
            )
        fault = header_fault(content)
        if fault is not None:
            raise WeightsError(
                f"{file}: the header has impossible sizes or types ({fault}); the file is damaged."
            )
        known = {f.name for f in fields(WeightsHeader)}
        values = {k: v for k, v in content.items() if k in known}
        grid = GridHeader(**values.pop("grid"))
        header = WeightsHeader(grid=grid, **values)
    except WeightsError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WeightsError(
            f"{file}: a safetensors file, but not one of ase-e3dos ({error!r} in its header)."
        ) from error
    return header, content


def _digest(content: dict[str, Any], tensors: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensors[name].numpy()).tobytes())
    return digest.hexdigest()
