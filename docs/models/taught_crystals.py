"""The crystals that the teachers of `default` label: `distil_default.py` says which they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray
from train_default import DFPT, NEQUIX, PHONONDB, Key, keys

from ase_e3dos.data.composition import composition_key
from ase_e3dos.errors import E3DOSError
from ase_e3dos.prediction.volumes import N_ELEMENTS
from ase_e3dos.prediction.volumes import features as volume_features
from ase_e3dos.prediction.volumes import regression as volume_regression
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.reading import read_each
from ase_e3dos.training.config import read_config
from ase_e3dos.training.run import load_part
from ase_e3dos.training.selection import candidates, select

#: Largest crystals without labels and of JARVIS; largest and number of those strained.
SITES, JARVIS_SITES, STRAINED_SITES, STRAINED = 20, 16, 6, (5000, 10_000)
STRAINS = (0.01, 0.025)
#: Crystals by exchange of elements: how many, of at most so many sites, from draws of a seed; the
#: most that ln(volume) may change.
EXCHANGED, EXCHANGED_SITES, MOST_CHANGE = 110_000, 8, 0.9
#: Elements that take each other's place.
FAMILIES = (
    ("Li", "Na", "K", "Rb", "Cs"),
    ("Be", "Mg", "Ca", "Sr", "Ba"),
    ("Zn", "Cd", "Hg", "Mg"),
    ("Sc", "Y", "La", "Lu"),
    ("Ti", "Zr", "Hf"),
    ("V", "Nb", "Ta"),
    ("Mo", "W"),
    ("Rh", "Ir"),
    ("Pd", "Pt"),
    ("Cu", "Ag", "Au"),
    ("B", "Al", "Ga", "In", "Tl"),
    ("C", "Si", "Ge", "Sn", "Pb"),
    ("N", "P", "As", "Sb", "Bi"),
    ("O", "S", "Se", "Te"),
    ("H", "F", "Cl", "Br", "I"),
    ("Na", "Cu", "Ag"),
    ("K", "Tl"),
    ("Ca", "Cd"),
    ("Sc", "Al", "Ga", "In"),
    ("Ti", "Ge", "Sn"),
    ("V", "As"),
)


@dataclass(frozen=True)
class Pool:
    """Crystals to be labelled: unlabelled ones, JARVIS's, and strained copies of the first.

    Attributes
    ----------
    unlabelled, jarvis, strained : list of Crystal
        The crystals.
    originals : ndarray of int
        Which of the unlabelled and exchanged ones, in turn, each strained one is a copy of,
        shape (n_strained,).
    strains : ndarray
        Of the copies, shape (n_strained,).
    exchanged : list of Crystal
        Small crystals made by exchange of elements.
    """

    unlabelled: list[Crystal]
    jarvis: list[Crystal]
    strained: list[Crystal]
    originals: NDArray[np.int64]
    strains: NDArray[np.float64]
    exchanged: list[Crystal]

    @property
    def crystals(self) -> list[Crystal]:
        """All of them: unlabelled, JARVIS's, strained, exchanged."""
        return [*self.unlabelled, *self.jarvis, *self.strained, *self.exchanged]


def hidden_formulas(data_dir: Path) -> set[Key]:
    """Compositions of both validation sets, and those kept out for the test of strain."""
    parts = {p.path: p for p in read_config("default").data}
    hidden: set[Key] = set()
    for name in (PHONONDB, DFPT):
        hidden |= set(keys(load_part(parts[name], data_dir).split("valid")))
    pairs = load_part(parts[NEQUIX], data_dir)
    return hidden | (set(keys(pairs)) - set(keys(select(pairs, parts[NEQUIX]))))


def pool(data_dir: Path, hidden: set[Key]) -> Pool:
    """The crystals to be labelled."""
    import pyarrow.parquet as pq

    parts = read_config("default").data
    known = {k for p in parts[:2] for k in keys(load_part(p, data_dir))} | hidden
    allowed = set(pq.read_table(data_dir / "labelling_candidates.parquet")["id"].to_pylist())
    found, refused = [], set()
    for name, c in read_each(data_dir / "structures_mp.parquet"):
        if not isinstance(c, Crystal):
            continue
        if name not in allowed:
            refused.add(composition_key(c))
        elif c.n_sites <= SITES and composition_key(c) not in known:
            found.append(c)
    # In random order, small ones first on the whole: what is labelled first may be used first.
    sites = np.array([c.n_sites for c in found])
    order = np.argsort(np.random.default_rng(6).exponential(1.0, len(found)) * sites.clip(4))
    unlabelled = [found[k] for k in order]
    jarvis = [
        c
        for c in candidates(load_part(parts[2], data_dir), parts[2]).crystals
        if c.n_sites <= JARVIS_SITES and composition_key(c) not in known
    ]
    # Not of JARVIS's and unlabelled ones: most of those are intermetallic.
    sources = [
        c for k in (0, 1, 3) for c in select(load_part(parts[k], data_dir), parts[k]).crystals
    ]
    exchanged = exchange(sources, known | refused)
    copies, originals, strains = strained([*unlabelled, *exchanged], len(unlabelled))
    return Pool(unlabelled, jarvis, copies, originals, strains, exchanged)


def strained(
    crystals: list[Crystal], n_unlabelled: int
) -> tuple[list[Crystal], NDArray[np.int64], NDArray[np.float64]]:
    """Copies of small crystals at a strain, of which crystal each is, and the strains."""
    rng = np.random.default_rng(3)
    small = np.flatnonzero([c.n_sites <= STRAINED_SITES for c in crystals])
    parts = (small[small < n_unlabelled], small[small >= n_unlabelled])
    chosen = [rng.permutation(part)[:n] for part, n in zip(parts, STRAINED, strict=True)]
    originals = np.concatenate(chosen)
    strains = rng.choice([-1.0, 1.0], len(originals)) * rng.uniform(*STRAINS, len(originals))
    copies = []
    for k, strain in zip(originals, strains, strict=True):
        atoms = crystals[k].to_atoms()
        atoms.set_cell(atoms.cell * (1 + strain), scale_atoms=True)
        copies.append(Crystal.quietly(atoms))
    return copies, originals, strains


def exchange(sources: list[Crystal], known: set[Key]) -> list[Crystal]:
    """Crystals made from small ones by exchange of elements, of compositions not known."""
    small = [c for c in sources if c.n_sites <= EXCHANGED_SITES]
    members = [[atomic_numbers[symbol] for symbol in family] for family in FAMILIES]
    weights, unknown = volume_regression()
    rng = np.random.default_rng(8)
    made: list[Crystal] = []
    seen: set[Any] = set()
    for _ in range(100 * EXCHANGED):
        if len(made) == EXCHANGED:
            return made
        source = small[int(rng.integers(len(small)))]
        atoms = source.to_atoms()
        own = np.unique(atoms.numbers)
        new = {int(z): int(z) for z in own}
        for z in rng.permutation(own)[: int(rng.integers(1, len(own) + 1))]:
            others = [m for family in members if z in family for m in family if m != z]
            if others:
                new[int(z)] = int(rng.choice(others))
        if len(set(new.values())) < len(new) or all(a == b for a, b in new.items()):
            continue
        numbers = np.array([new[int(z)] for z in atoms.numbers])
        if numbers.max() >= N_ELEMENTS or atoms.numbers.max() >= N_ELEMENTS:
            continue
        shares = np.array(
            [np.bincount(z, minlength=N_ELEMENTS) / len(z) for z in (atoms.numbers, numbers)]
        )
        before, after = volume_features(shares) @ weights
        if (shares[:, unknown] > 0).any() or abs(after - before) > MOST_CHANGE:
            continue
        atoms.numbers = numbers
        atoms.set_masses("defaults")
        atoms.set_cell(atoms.cell * np.exp((after - before) / 3), scale_atoms=True)
        crystal = Crystal.quietly(atoms)
        composition = composition_key(crystal)
        twin = (composition, round(float(source.volume / source.n_sites), 1), source.n_sites)
        if composition not in known and twin not in seen:
            seen.add(twin)
            made.append(crystal)
    raise E3DOSError(
        f"Only {len(made)} of {EXCHANGED} crystals can be made by exchange from these {len(small)} "
        "small ones: lower EXCHANGED."
    )
