"""The pipeline of the published notebook, rebuilt from the libraries it uses.

ASE's neighbour list with self-interaction, mass-weighted one-hot features, and e3nn's
``gate_points_2101`` network in the paper's size (64 embedded scalars, two gated convolutions of
32 channels with l <= 1, 10 radial functions, 51 scalars out). The weights are random: a
benchmark of speed does not need others.
"""

from __future__ import annotations

import numpy as np
import torch
from ase import Atoms
from ase.data import atomic_masses
from ase.neighborlist import neighbor_list
from e3nn.nn.models.gate_points_2101 import Network

R_MAX = 5.0


class PeriodicNetwork(Network):
    """The notebook's network: embedding, gated convolutions, mean over sites, ReLU, maximum."""

    def __init__(self) -> None:
        super().__init__(
            irreps_in="64x0e",
            irreps_hidden="32x0e+32x0o+32x1e+32x1o",
            irreps_out="51x0e",
            irreps_node_attr="64x0e",
            irreps_edge_attr="1x0e+1x1o",
            layers=2,
            max_radius=R_MAX,
            number_of_basis=10,
            radial_layers=1,
            radial_neurons=100,
            num_neighbors=30.0,
            num_nodes=7.0,
            reduce_output=True,
        )
        self.embedding = torch.nn.Linear(118, 64)

    def preprocess(self, data):
        """Edges are made outside, as in the notebook."""
        source, target = data["edge_index"]
        return data["batch"], data["x"], source, target, data["edge_vec"]

    def forward(self, data):
        """Max-normalised spectra, shape (n_crystals, 51)."""
        embedded = torch.relu(self.embedding(data["x"]))
        output = torch.relu(super().forward({**data, "x": embedded, "z": embedded}))
        return output / output.amax(dim=1, keepdim=True).clamp_min(1e-12)


def build_data(atoms: Atoms) -> dict[str, torch.Tensor]:
    """One crystal as the notebook's graph."""
    source, target, shift = neighbor_list("ijS", atoms, R_MAX, self_interaction=True)
    vectors = atoms.positions[target] - atoms.positions[source] + shift @ np.asarray(atoms.cell)
    features = np.zeros((len(atoms), 118))
    features[np.arange(len(atoms)), atoms.numbers - 1] = atomic_masses[atoms.numbers]
    return {
        "pos": torch.tensor(atoms.positions, dtype=torch.float32),
        "x": torch.tensor(features, dtype=torch.float32),
        "edge_index": torch.tensor(np.stack([source, target]), dtype=torch.int64),
        "edge_vec": torch.tensor(vectors, dtype=torch.float32),
        "batch": torch.zeros(len(atoms), dtype=torch.int64),
    }


def join(graphs: list[dict[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
    """Several graphs as one."""
    sizes = [len(g["x"]) for g in graphs]
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    return {
        "pos": torch.cat([g["pos"] for g in graphs]),
        "x": torch.cat([g["x"] for g in graphs]),
        "edge_index": torch.cat(
            [g["edge_index"] + int(o) for g, o in zip(graphs, offsets, strict=False)], dim=1
        ),
        "edge_vec": torch.cat([g["edge_vec"] for g in graphs]),
        "batch": torch.repeat_interleave(torch.arange(len(graphs)), torch.tensor(sizes)),
    }
