"""The header of freshly trained weights: what they are, were trained on, and are good for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from ase.data import covalent_radii

from ase_e3dos.data.composition import element_counts
from ase_e3dos.data.published import Origin, origin
from ase_e3dos.network.weights import GridHeader, WeightsHeader
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.json_text import parse_json
from ase_e3dos.training.config import TrainingConfig
from ase_e3dos.training.sampler import GraphSet

if TYPE_CHECKING:
    from ase_e3dos.encoders import Encoder
    from ase_e3dos.spectrum.grid import Array
    from ase_e3dos.training.new_network import Network

METHOD = "Z. Chen et al., Adv. Sci. 8, 2004214 (2021), doi:10.1002/advs.202004214"


def make_header(
    config: TrainingConfig,
    network: Network,
    encoder: Encoder,
    training: list[GraphSet],
    sources: list[str],
    grid: Array,
    appended: Sequence[Path] = (),
    start: tuple[str, str] | None = None,
) -> WeightsHeader:
    """Describe one trained network.

    Parameters
    ----------
    config : TrainingConfig
        Of the run.
    network : Network
        What it gave.
    encoder : Encoder
        That made its features.
    training : list of GraphSet
        The data.
    sources : list of str
        Names in the order of the embedding.
    grid : ndarray
        Wavenumbers of the output in cm^-1, uniform.
    appended : sequence of Path, optional
        Files with one spectrum each that joined the training data.
    start : tuple of str, optional
        Name and licence of the weights that training began with.
    """
    epochs = f"at most {config.epochs}" if config.patience else str(config.epochs)
    further = [_digest_and_origin(path) for path in appended]
    labelled = [data.labelled for data in training]
    licences = [(part.source, part.origin.licence) for part in labelled]
    citations = [part.origin.citation for part in labelled] + [o.citation for _, o in further]
    crystals = [c for data in training for c in data.labelled.crystals]
    return WeightsHeader(
        network=config.network,
        settings=network.config(),
        members=1,
        grid=GridHeader(float(grid[0]), float(grid[1] - grid[0]), len(grid)),
        encoder=encoder.name,
        encoder_version=encoder.version,
        encoder_settings=dict(encoder.settings()),
        sources=sources,
        elements=element_counts(crystals),
        label_like=config.network == "paper",
        trust={"filling": list(filling_range(crystals)), "alone": elements_alone(crystals)},
        trained_on=digests_by_name(
            [
                (part.path.rsplit("/", 1)[-1], data.labelled.sha256)
                for part, data in zip(config.data, training, strict=True)
            ]
            + [(path.name, digest) for path, (digest, _) in zip(appended, further, strict=True)]
        ),
        licence=joint_licence(licences if start is None else [*licences, start]),
        citation=joint_citation([METHOD, *citations]),
        description=f"{config.network} network, {epochs} epochs, seed {config.seed}",
    )


def digests_by_name(files: Iterable[tuple[str, str]]) -> dict[str, str]:
    """SHA-256 by file name; a second file of one name, with other content, gets #2."""
    digests: dict[str, str] = {}
    for name, digest in files:
        key, count = name, 1
        while digests.get(key, digest) != digest:
            count += 1
            key = f"{name}#{count}"
        digests[key] = digest
    return digests


def _digest_and_origin(path: Path) -> tuple[str, Origin]:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    return digest, origin(digest, parse_json(content))


def joint_citation(citations: Iterable[str]) -> str:
    """Citations one after the other, each once."""
    each = [one for text in citations for one in text.split("; ") if one]
    return "; ".join(dict.fromkeys(each))


def joint_licence(licences: Iterable[tuple[str, str]]) -> str:
    """What weights stand under that were trained on several sources.

    Parameters
    ----------
    licences : iterable of tuple of str
        Source and licence of each part of the data; "" for a licence that is not known.

    Returns
    -------
    str
        One licence where all agree, else each with its source; "" where none is known.
    """
    each = list(dict.fromkeys(licences))
    if len({text for _, text in each}) == 1:
        return each[0][1]
    return "; ".join(f"{source}: {text or 'not given'}" for source, text in each)


def elements_alone(crystals: Iterable[Crystal]) -> list[float]:
    """Atomic numbers of which there is a crystal of that element alone, ascending."""
    single = {int(c.numbers[0]) for c in crystals if len(np.unique(c.species_number)) == 1}
    return [float(z) for z in sorted(single)]


def filling(crystal: Crystal) -> float:
    """Share of the cell that spheres of covalent radius fill; `trust` has limits of it."""
    radii = covalent_radii[np.minimum(crystal.numbers, len(covalent_radii) - 1)]
    return float(4 / 3 * np.pi * (radii**3).sum() / crystal.volume)


def filling_range(crystals: list[Crystal]) -> tuple[float, float]:
    """0.1 and 99.9 percentile of `filling` over crystals."""
    low, high = np.percentile([filling(c) for c in crystals], [0.1, 99.9])
    return float(low), float(high)
