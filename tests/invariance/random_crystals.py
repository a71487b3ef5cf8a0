"""Random crystals, their transformations, and distances of spectra."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from ase_e3dos.network.paper import PaperNetwork, PaperSettings
from ase_e3dos.network.site import SiteNetwork
from ase_e3dos.network.site_trunk import SiteSettings
from ase_e3dos.network.weights import GridHeader, WeightsHeader, save_weights
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.masses import STANDARD_MASSES

WORST: dict[tuple[str, str], float] = {}


@dataclass(frozen=True)
class Sites:
    """A crystal in a form that is easy to transform."""

    cell: np.ndarray
    scaled: np.ndarray
    contents: list[dict[int, float]] = field(repr=False)

    def crystal(self) -> Crystal:
        site, number, fraction = np.array(
            [(i, z, p) for i, content in enumerate(self.contents) for z, p in content.items()]
        ).T
        number = number.astype(int)
        return Crystal(
            self.cell,
            self.scaled,
            species_site=site.astype(int),
            species_number=number,
            species_fraction=fraction,
            species_mass=STANDARD_MASSES[number],
            name="random",
        )

    def rotated(self, matrix: np.ndarray) -> Sites:
        return replace(self, cell=self.cell @ matrix.T)

    def shifted(self, shift: Any) -> Sites:
        return replace(self, scaled=self.scaled + np.asarray(shift))

    def permuted(self, order: list[int]) -> Sites:
        return replace(self, scaled=self.scaled[order], contents=[self.contents[i] for i in order])

    def in_cell(self, matrix: np.ndarray) -> Sites:
        """The same crystal in another cell of |det| times the volume."""
        inverse = np.linalg.inv(matrix)
        copies = round(abs(np.linalg.det(matrix)))
        reach = int(np.abs(matrix).sum()) + 1
        grid = np.indices((2 * reach + 1,) * 3).reshape(3, -1).T - reach
        inside = grid @ inverse
        kept = grid[((inside > -1e-9) & (inside < 1 - 1e-9)).all(axis=1)]
        assert len(kept) == copies
        scaled = np.concatenate([(self.scaled + shift) @ inverse for shift in kept])
        return Sites(matrix @ self.cell, scaled, self.contents * copies)


@st.composite
def crystals(draw: st.DrawFn) -> Sites:
    """One to six sites on a jittered grid in a skewed cell; one site in eight is mixed."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.sampled_from([(1, 1, 1), (2, 1, 1), (2, 2, 1), (3, 1, 1), (3, 2, 1)]))
    grid = np.indices(shape).reshape(3, -1).T / shape
    scaled = grid + rng.uniform(-0.12, 0.12, grid.shape) / shape
    spacing = draw(st.floats(2.3, 3.6))
    skew = np.eye(3) + rng.uniform(-0.25, 0.25, (3, 3))
    cell = skew * (spacing * np.array(shape))[:, None]
    contents = []
    for _ in range(len(grid)):
        a, b = (int(z) for z in rng.choice(np.arange(1, 84), 2, replace=False))
        p = round(float(rng.uniform(0.1, 0.9)), 3)
        contents.append({a: p, b: 1 - p} if rng.uniform() < 1 / 8 else {a: 1.0})
    return Sites(cell, scaled, contents)


@st.composite
def rotations(draw: st.DrawFn) -> np.ndarray:
    """Uniform proper rotations."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


@st.composite
def unimodular(draw: st.DrawFn) -> np.ndarray:
    """Integer matrices of determinant one: other cells of the same lattice."""
    matrix = np.eye(3, dtype=int)
    for _ in range(draw(st.integers(1, 3))):
        i, j = draw(st.permutations([0, 1, 2]))[:2]
        shear = np.eye(3, dtype=int)
        shear[i, j] = draw(st.sampled_from([-1, 1]))
        matrix = shear @ matrix
    return matrix


@st.composite
def supercells(draw: st.DrawFn) -> np.ndarray:
    """Integer matrices of determinant two to four in Hermite normal form."""
    diagonal = draw(
        st.sampled_from([(2, 1, 1), (1, 2, 1), (1, 1, 2), (1, 3, 1), (2, 2, 1), (1, 1, 4)])
    )
    matrix = np.diag(diagonal)
    for i, j in ((1, 0), (2, 0), (2, 1)):
        matrix[i, j] = draw(st.integers(0, diagonal[j] - 1))
    return matrix


def random_weights(folder: Any, kind: str) -> str:
    """A weights file with a network that was never trained."""
    torch.manual_seed(1)
    if kind == "paper":
        settings: Any = PaperSettings()
        network: torch.nn.Module = PaperNetwork(settings)
        grid = GridHeader(0.0, 20.0, settings.n_bins)
    else:
        settings = SiteSettings()
        network, grid = SiteNetwork(settings), GridHeader(-395.0, 10.0, settings.n_bins)
    header = WeightsHeader(
        network=kind,
        settings=asdict(settings),
        members=1,
        grid=grid,
        encoder="mass_one_hot",
        encoder_version=1,
        sources=["dfpt", "jarvis", "mlip"][: 3 if kind == "site" else 1],
        label_like=kind == "paper",
    )
    path = folder / f"{kind}.safetensors"
    save_weights(path, header, [network.state_dict()])
    return str(path)


def spectrum_distance(p: np.ndarray, q: np.ndarray) -> float:
    """Share of the modes that two densities have in different bins."""
    return float(np.abs(p / p.sum() - q / q.sum()).sum() / 2)


def noted(predictor: Predictor, what: str, distance: float) -> float:
    """Keep the largest distance of a kind for the table."""
    key = (predictor.model.header.network, what)
    WORST[key] = max(WORST.get(key, 0.0), distance)
    return distance
