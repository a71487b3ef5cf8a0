"""Figures 1 and S2 drawn from the networks that ship, and tables S1 and S3 beside the paper's."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ase.data import chemical_symbols

from ase_e3dos import predict
from ase_e3dos.data.labels import PAPER_GRID
from ase_e3dos.encoders.mass_one_hot import MassOneHot
from ase_e3dos.errors import E3DOSWarning
from ase_e3dos.network.convolution import Convolution
from ase_e3dos.network.graph import CrystalGraph, build_graph
from ase_e3dos.network.paper import PaperNetwork, PaperSettings
from ase_e3dos.network.weights import read_header
from ase_e3dos.plugins import get_registry
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.training.config import read_config
from e3dos_paper.cnn_network import GRID, DensityCNN
from e3dos_paper.measured_spectra import measured_crystals
from e3dos_paper.pictures import save_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Hyperparameters of table S1: the range that the paper searched and its final selection.
TABLE_S1 = {
    "multiplicity of irreps": ("16, 32, 48, 64", "32"),
    "pointwise convolution layers": ("1, 2, 3, 4", "2"),
    "radial basis functions": ("5, 10, 15, 20", "10"),
    "length of the embedding": ("16, 32, 64, 128, 160", "64"),
    "learning rate": ("5e-4, 1e-3, 5e-3, 1e-2", "5e-3 x 0.96^k"),
    "weight decay": ("1e-3, 1e-2, 5e-2, 1e-1", "5e-2"),
}
#: Shapes after each layer of the paper's table S3, without the number of crystals; channels last.
TABLE_S3 = (
    (16, 16, 16, 1), (8, 8, 8, 2), (4, 4, 4, 4), (2, 2, 2, 8), (64,), (64,), (51,),
)  # fmt: skip
_TITANIUM = 22
#: Colours and sizes of the atoms in the drawing.
_ATOMS = {38: ("#6aa84f", 45), _TITANIUM: ("#3b6fb6", 30), 8: ("#c0392b", 12)}


def shipped_network(model: str = "paper") -> PaperNetwork:
    """A network of the sizes of shipped weights of the paper's kind, with random weights."""
    header = read_header(get_registry().resolve_model(model).weights_path())
    return PaperNetwork(PaperSettings(**header.settings))


def figure_1(path: str | Path | None = None, device: str = "auto") -> Figure:
    """The way of SrTiO3 through `paper`: graph, encoding, radial functions, network, spectrum."""
    from matplotlib.figure import Figure

    network = shipped_network()
    crystal = measured_crystals()["SrTiO3"]
    graph = build_graph(crystal, network.cutoff)
    figure = Figure(figsize=(10, 5.6), layout="constrained")
    cells = figure.add_gridspec(2, 3, width_ratios=[1, 1, 0.95])
    _draw_neighbors(figure.add_subplot(cells[0, 0], projection="3d"), graph)
    _draw_encoding(figure.add_subplot(cells[0, 1]), crystal)
    _draw_radial(figure.add_subplot(cells[1, 0]), network, graph)
    _draw_spectrum(figure.add_subplot(cells[1, 1]), crystal, device)
    _draw_layers(figure.add_subplot(cells[:, 2]), network)
    if path is not None:
        save_picture(figure, path)
    return figure


def table_s1_text(preset: str = "paper") -> str:
    """Table S1: what the paper searched and selected, and what a preset has."""
    run = read_config(preset)
    sizes = PaperSettings(**run.settings)
    has = (
        f"{sizes.channels}",
        f"{sizes.n_gated}",
        f"{sizes.n_radial}",
        f"{sizes.embedding}",
        f"{run.learning_rate:g} x {run.decay:g}^k",
        f"{run.weight_decay:g}",
    )
    heads = ("table S1", "range", "paper's choice", f"preset {preset}")
    rows = [(name, *said, own) for (name, said), own in zip(TABLE_S1.items(), has, strict=True)]
    return "\n".join(f"{a:30}{b:25}{c:17}{d}" for a, b, c, d in (heads, *rows))


def table_s3_text() -> str:
    """Table S3: layers of the CNN with the shapes that come out of ours."""
    network = DensityCNN().eval()
    x = torch.zeros(1, 2, GRID, GRID, GRID)
    grids = _shape((GRID, GRID, GRID, 2))
    lines = [f"{'table S3, shape after the layer':36}{'paper':>16}{'ours':>16}",
             f"{'two densities':36}{grids:>16}{grids:>16}"]  # fmt: skip
    theirs = iter(TABLE_S3)
    with torch.inference_mode():
        for layer in network.layers:
            x = layer(x)
            if isinstance(layer, torch.nn.ReLU):
                continue
            shape = (*x.shape[2:], x.shape[1])  # channels last, as the paper has them
            lines.append(f"{_layer(layer):36}{_shape(next(theirs)):>16}{_shape(shape):>16}")
    n = sum(p.numel() for p in network.parameters())
    return "\n".join([*lines, f"a ReLU after all but the first and the flattening; {n} weights"])


def _layer(layer: Any) -> str:
    if isinstance(layer, torch.nn.Conv3d):
        return f"convolution, kernel {layer.kernel_size[0]}, stride {layer.stride[0]}"
    return "flatten" if isinstance(layer, torch.nn.Flatten) else "fully connected"


def _shape(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))


def _draw_neighbors(ax: Any, graph: CrystalGraph) -> None:
    """Edges of the titanium atom."""
    numbers = graph.crystal.numbers
    own = graph.center == int(np.flatnonzero(numbers == _TITANIUM)[0])
    ends, kinds = graph.vectors[own], numbers[graph.neighbor[own]]
    for end in ends:
        ax.plot(*zip(np.zeros(3), end, strict=True), color="0.8", linewidth=0.4)
    ax.scatter(0, 0, 0, color="k", s=40, depthshade=False)
    for number, (color, size) in _ATOMS.items():
        ax.scatter(*ends[kinds == number].T, color=color, s=size, depthshade=False,
                   label=chemical_symbols[number])  # fmt: skip
    ax.set_axis_off()
    ax.set_box_aspect((1, 1, 1), zoom=1.25)
    ax.legend(frameon=False, fontsize=7, loc="upper left")
    ax.set_title(f"(a) {own.sum()} neighbours of Ti within {graph.cutoff:g} Å", fontsize=8)


def _draw_encoding(ax: Any, crystal: Crystal) -> None:
    """Mass-weighted one-hot vectors of the sites."""
    rows = MassOneHot().encode(crystal)
    for number, (color, _) in _ATOMS.items():
        row = rows[int(np.flatnonzero(crystal.numbers == number)[0])]
        z = int(row.argmax())
        ax.vlines(z + 1, 0, row[z], color=color)
        ax.plot(z + 1, row[z], "o", color=color, ms=4)
        text = f"{chemical_symbols[number]} {row[z]:.1f}"
        ax.text(z + 1, row[z] + 3, text, fontsize=7, ha="center")
    ax.axhline(0, color="0.5", linewidth=0.6)
    ax.set(xlim=(0, rows.shape[1] + 1), ylim=(-4, 105), xlabel="component", ylabel="amu")
    ax.set_title(f"(b) a site: {rows.shape[1]} components, its mass in that of its element",
                 fontsize=8)  # fmt: skip


def _draw_radial(ax: Any, network: PaperNetwork, graph: CrystalGraph) -> None:
    """Radial basis functions, and the lengths of the edges."""
    r = torch.linspace(0, network.cutoff, 300)
    with torch.inference_mode():
        basis = network.basis(r).numpy()
    ax.plot(r.numpy(), basis, color="#3b6fb6", linewidth=0.9)
    lengths = np.unique(graph.lengths.round(3))
    ax.plot(lengths, np.full_like(lengths, -0.15), "|", color="k", ms=7)
    ax.set(xlabel="length of an edge (Å)", yticks=[], xlim=(0, network.cutoff))
    ax.set_title(f"(c) {basis.shape[1]} radial functions; the lengths in SrTiO$_3$", fontsize=8)


def _draw_spectrum(ax: Any, crystal: Crystal, device: str) -> None:
    """What comes out: the paper's 51 points, and what `default` says."""
    x = np.arange(0.0, 1001.0, 5.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", E3DOSWarning)
        (paper,), (default,) = (
            predict(crystal, model=m, device=device) for m in ("paper", "default")
        )
    y = default.as_paper_label(x)
    ax.plot(x, y / y.max(), color="#d9731a", linewidth=1, label="default")
    points = paper.as_paper_label(PAPER_GRID)
    ax.plot(
        PAPER_GRID, points / points.max(), ".-", color="#3b6fb6", ms=4, linewidth=1, label="paper"
    )
    ax.set(xlabel="wavenumber (cm$^{-1}$)", yticks=[], xlim=(0, 1000))
    ax.legend(frameon=False, fontsize=7)
    ax.set_title(f"(d) spectrum on {len(PAPER_GRID)} points", fontsize=8)


def network_layers(network: PaperNetwork) -> list[tuple[str, int]]:
    """Layers of the paper's network as figure S2 has them, each with its number of weights."""
    s = network.settings
    layers = [(f"embedding, {s.n_features} to {s.embedding} scalars", network.embedding.numel())]
    for radial, convolution in zip(network.radial, network.convolutions, strict=True):
        assert isinstance(convolution, Convolution)
        n = sum(p.numel() for part in (radial, convolution) for p in part.parameters())
        layers.append((f"convolution to {_channels(convolution.channels_out)}", n))
        if len(layers) <= 2 * s.n_gated:
            layers.append((f"gate: {s.channels} x 0e, {s.channels} x 1o", 0))
    return [*layers, ("sum over the sites", 0), ("ReLU", 0), ("division by the maximum", 0)]


def _draw_layers(ax: Any, network: PaperNetwork) -> None:
    """Boxes of figure S2."""
    layers = network_layers(network)
    ax.set(xlim=(0, 1), ylim=(-len(layers), 0.2))
    ax.set_axis_off()
    for k, (name, n) in enumerate(layers):
        text = f"{name}\n{n:,} weights" if n else name
        color = "#e8eef7" if n else "0.94"
        ax.text(0.5, -k - 0.35, text, fontsize=7, ha="center", va="center",
                bbox={"boxstyle": "round,pad=0.4", "fc": color, "ec": "0.6"})  # fmt: skip
        if k:
            ax.annotate("", (0.5, -k - 0.08), (0.5, -k + 0.38), zorder=-1,
                        arrowprops={"arrowstyle": "-", "color": "0.6"})  # fmt: skip
    total = sum(n for _, n in layers)
    ax.set_title(f"(e) the network, {total:,} weights (S2)", fontsize=8)


def _channels(channels: dict[str, int]) -> str:
    return ", ".join(f"{n} x {irrep}" for irrep, n in channels.items())
