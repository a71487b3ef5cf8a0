"""Special quasi-random structures: ordered supercells whose pairs are those of a random alloy.

Run: python docs/examples/sqs.py
Writes docs/crystals/Mg24Sb8Bi8_sqs.vasp and docs/crystals/Cu16Au16_sqs.vasp, in the cells and
positions that Vegard's law gives (no relaxation), for the comparisons of alloys with supercells.
Of all arrangements (of 20,000 random ones where there are more) that one is kept whose pair
correlations are nearest to those of the random alloy, near shells counting most.
"""

from __future__ import annotations

from itertools import combinations
from math import comb
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.neighborlist import neighbor_list

from ase_e3dos.alloy import SolidSolution

CRYSTALS = Path(__file__).parents[1] / "crystals"
MOST = 20_000


def pair_counts(sites: Atoms, n_shells: int = 4) -> np.ndarray:
    """Neighbours of each site at each other site, shell by shell, shape (n_shells, n, n)."""
    cutoff = 2.5 * (sites.get_volume() / len(sites)) ** (1 / 3)
    i, j, distance = neighbor_list("ijd", sites, cutoff)
    shells = np.unique(distance.round(2))[:n_shells]
    counts = np.zeros((len(shells), len(sites), len(sites)))
    for k, radius in enumerate(shells):
        chosen = distance.round(2) == radius
        np.add.at(counts[k], (i[chosen], j[chosen]), 1.0)
    return counts


def quasi_random(sites: Atoms, n_second: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Which sites the second species takes, shape (n,), and the pair correlations left over.

    The correlation of a shell is the mean product of the spins (-1 and 1) of its pairs, less the
    (2x - 1)^2 of the random alloy.
    """
    n, counts = len(sites), pair_counts(sites)
    if comb(n, n_second) <= MOST:
        chosen = np.array(list(combinations(range(n), n_second)))
    else:
        rng = np.random.default_rng(seed)
        chosen = np.array([rng.permutation(n)[:n_second] for _ in range(MOST)])
    spins = -np.ones((len(chosen), n))
    np.put_along_axis(spins, chosen, 1.0, axis=1)
    means = np.einsum("ai,sij,aj->as", spins, counts, spins, optimize=True)
    left = means / counts.sum(axis=(1, 2)) - (2 * n_second / n - 1) ** 2
    best = int((np.abs(left) / np.arange(1, len(counts) + 1)).sum(axis=1).argmin())
    return spins[best] > 0, left[best]


def write(solution: SolidSolution, repeat: tuple[int, int, int], name: str) -> None:
    """Half of the mixed sites of a supercell to each end member."""
    first, second = solution.members
    atoms = Atoms(
        numbers=first.numbers,
        cell=solution.cell(0.5),
        scaled_positions=solution.crystal(0.5).scaled_positions,
        tags=np.arange(solution.n_sites),
        pbc=True,
    ).repeat(repeat)
    mixed = np.flatnonzero(np.isin(atoms.get_tags(), solution.mixed_sites))
    taken, left = quasi_random(atoms[mixed], len(mixed) // 2)
    sites = mixed[taken]
    atoms.numbers[sites] = second.numbers[atoms.get_tags()[sites]]
    atoms = atoms[np.argsort(atoms.numbers, kind="stable")]
    atoms.write(CRYSTALS / name, direct=True, sort=True)
    print(f"{name}: {atoms.symbols}; correlations of pairs less random: {left.round(3)}")


if __name__ == "__main__":
    write(
        SolidSolution([CRYSTALS / "Mg3Sb2.cif", CRYSTALS / "Mg3Bi2.cif"]),
        (2, 2, 2),
        "Mg24Sb8Bi8_sqs.vasp",
    )
    fcc = [bulk(name, cubic=True) for name in ("Cu", "Au")]
    write(SolidSolution(fcc), (2, 2, 2), "Cu16Au16_sqs.vasp")
