"""How the mesh of wave vectors of `force-constants` converges, and what it costs.

    python docs/theory/force_constant_mesh.py

Crystals of docs/crystals that have no imaginary modes, each against a mesh of 72 Å: the largest
difference over the crystals, and the mean in brackets.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch

from ase_e3dos.network.ensemble import Densities
from ase_e3dos.network.lattice_dynamics import MESH_LENGTH, half_mesh, vibrations
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.prediction.sound import with_sound
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.reading import read_each

CRYSTALS = Path(__file__).parents[1] / "crystals"
LENGTHS, FINEST = (12.0, 18.0, MESH_LENGTH, 36.0), 72.0


def spectrum(predictor: Predictor, crystal: Crystal, length: float) -> tuple[PhononSpectrum, float]:
    """Spectrum with a mesh of its own, as `predict` makes it, and seconds for the vibrations."""
    network = predictor.model.members[0]
    batch = predictor.collated([predictor.graph(crystal)])
    masses = batch.features.sum(1).index_select(0, batch.site_order)
    with torch.inference_mode():
        springs = network.springs(batch)
        start = time.process_time()
        found = vibrations(springs, batch, masses, network.settings.n_bins, length)
        seconds = time.process_time() - start
    grid = predictor.model.wavenumbers
    arrays = (found.crystals.mean(0), found.sites, found.log_sound)
    crystals, sites, sound = (None if t is None else t.numpy() for t in arrays)
    joined = with_sound([crystal], grid, Densities(crystals, None, sites, None, sound))
    return PhononSpectrum(grid, site_density=joined.sites, crystal=crystal), seconds


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    predictor = Predictor("force-constants", "cpu")
    files = sorted(p for p in CRYSTALS.iterdir() if p.suffix in (".cif", ".vasp"))
    crystals = [
        c for f in files for _, c in read_each(f) if isinstance(c, Crystal) and c.is_ordered
    ]
    finest = [spectrum(predictor, c, FINEST)[0] for c in crystals]
    kept = [k for k, s in enumerate(finest) if s.imaginary_fraction < 1e-3]
    names = ", ".join(crystals[k].formula for k in kept)
    print(f"{len(kept)} crystals: {names}")
    print()
    print("| mesh (Å) | points | spectrum (cm⁻¹) | C_V 100 K | S 300 K | U_iso 300 K | ms |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for length in LENGTHS:
        rows, points, times = [], [], []
        for k in kept:
            ours, seconds = spectrum(predictor, crystals[k], length)
            theirs = finest[k]
            apart = np.cumsum(ours.density - theirs.density) / theirs.density.sum()
            rows.append(
                [
                    np.abs(apart).sum() * 10,
                    100 * abs(ours.heat_capacity(100.0) / theirs.heat_capacity(100.0) - 1),
                    100 * abs(ours.entropy(300.0) / theirs.entropy(300.0) - 1),
                    100 * np.abs(ours.u_iso(300.0) / theirs.u_iso(300.0) - 1).max(),
                ]
            )
            points.append(len(half_mesh(crystals[k].cell, length)[0]))
            times.append(1e3 * seconds)
        (w, *relative), means = np.max(rows, axis=0), np.mean(rows, axis=0)
        cells = [f"{w:.2f} ({means[0]:.2f})"]
        cells += [f"{a:.2f} % ({b:.2f})" for a, b in zip(relative, means[1:], strict=True)]
        numbers = f"{np.mean(points):.0f} | {' | '.join(cells)} | {np.mean(times):.0f}"
        print(f"| {length:g} | {numbers} |")


if __name__ == "__main__":
    main()
