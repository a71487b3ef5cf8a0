"""When not to trust a prediction: what is unusual about a crystal or its spectrum.

Every check is written once, for all crystals of a batch together; what it finds is put into words
for the few that it concerns. Checks speak of the crystal and not of the cell that it is written
in: a supercell, a skewed cell or another origin gets the same warnings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from ase_e3dos.errors import (
    CrowdedAtomsWarning,
    E3DOSWarning,
    ImaginaryWeightWarning,
    IsotopeWarning,
    MagnetismWarning,
    OutOfDistributionWarning,
    TruncatedWeightWarning,
    UnlikelyVolumeWarning,
    UnseenElementWarning,
)
from ase_e3dos.prediction.bonds import NEAR, RADII, bonded, codes_of, elements_of_code
from ase_e3dos.prediction.layers import periodic_directions, widest_gaps
from ase_e3dos.prediction.volumes import LIMIT as VOLUME_LIMIT
from ase_e3dos.prediction.volumes import N_ELEMENTS, expected
from ase_e3dos.structures.chemistry import MAGNETIC as MAGNETIC_ELEMENTS
from ase_e3dos.structures.crystals import Crystals

if TYPE_CHECKING:
    from ase_e3dos.network.graph import CrystalGraph
    from ase_e3dos.network.weights import WeightsHeader

#: Share of the modes that may be imaginary without a warning.
IMAGINARY_LIMIT = 0.01
#: Probability of imaginary modes beyond which there is a warning.
PROBABLY_UNSTABLE = 0.5
#: Share of the modes that may lie in the last 2 % of the grid without a warning.
EDGE_LIMIT = 0.005
#: Relative disagreement of the members on the average frequency without a warning.
DISAGREEMENT_LIMIT = 0.10
#: Atomic numbers of the elements whose spin states and magnetic order phonons depend on.
MAGNETIC = frozenset(chemical_symbols.index(s) for s in MAGNETIC_ELEMENTS)
#: Elements whose compounds are seldom metals: H, B to F, Si to Cl, Ge to Br, Te, I, noble gases.
NONMETALS = frozenset((1, 2, *range(5, 11), *range(14, 19), *range(32, 37), 52, 53, 54, 85, 86))
#: Elements whose compounds with magnetic ones keep their high spin and are not warned of: H, O and
#: halogens. In sulfides, phosphides, carbides and the like spin states differ (pyrite's is low).
IONIC = frozenset((1, 8, 9, 17, 35, 53))

#: cm^-1; on grids that end no higher, bonds of `_STRETCHES` have modes beyond the end, where they
#: are shorter than so many Å: a rule with few exceptions in the phonon database, most of them
#: silicates and beryllates.
STRETCHES_BEYOND = 1000.0
_STRETCHES = {
    # Hydrides of metals and semimetals, in covalent radii.
    **{1000 + z: 1.15 * float(RADII[1] + RADII[z]) for z in range(2, 104)},
    1001: 1.0,
    **{1000 + z: 2.1 for z in (3, 12)},
    **{1000 + z: 1.3 for z in (5, 6, 7, 8, 9)},
    **{1000 * a + b: 1.5 for a, b in ((5, 8), (5, 9), (6, 7), (6, 8), (7, 7), (7, 8), (8, 17))},
    **{1000 * a + b: 1.65 for a, b in ((4, 7), (4, 8), (5, 7), (6, 6), (8, 14), (8, 15), (8, 16))},
    **{1000 * a + b: 1.75 for a, b in ((5, 5), (5, 6), (7, 14), (7, 15))},
}

#: What lies beyond a limit by less than this part of it is at the limit: two cells of a crystal
#: differ by rounding, and round lattice constants meet round limits.
_ROUNDING = 1e-5

Bools = NDArray[np.bool_]
Shares = NDArray[np.float64] | NDArray[np.float32]


def assess_batch(
    graphs: Sequence[CrystalGraph],
    header: WeightsHeader,
    weights: Shares,
    members: NDArray[np.float32] | None,
    instability: NDArray[np.float32] | None = None,
    crystals: Crystals | None = None,
) -> list[tuple[E3DOSWarning, ...]]:
    """Warnings about the predictions of a batch, for each the most serious first.

    Parameters
    ----------
    graphs : sequence of CrystalGraph
        At least one graph, all with the same cut-off.
    header : WeightsHeader
        Of the weights that made the predictions.
    weights : Shares
        Share of the modes in each bin, shape (n_crystals, n_bins).
    members : ndarray of float32 or None
        The same for each member of the ensemble, shape (n_members, n_crystals, n_bins), or None.
    instability : ndarray of float32, optional
        Probability that more than 1 % of the modes are imaginary, shape (n_crystals,).
    crystals : Crystals, optional
        Those of the graphs, if at hand.

    Returns
    -------
    list of tuple of E3DOSWarning
        Empty where nothing is unusual. First of all what was said when the crystal was read.
    """
    if crystals is None:
        crystals = Crystals([g.crystal for g in graphs])
    batch = _Batch(graphs, header, weights, members, instability, crystals)
    found: dict[int, list[E3DOSWarning]] = {}
    for check in _CHECKS:
        for k, warning in check(batch):
            found.setdefault(k, []).append(warning)
    for k, crystal in enumerate(batch.crystals):
        if crystal.remarks:
            found[k] = _with_reading(crystal.warnings, found.get(k, []))
    return [tuple(found.get(k, ())) for k in range(len(graphs))]


def _with_reading(
    reading: Sequence[E3DOSWarning], found: Sequence[E3DOSWarning]
) -> list[E3DOSWarning]:
    """What was said when a crystal was read before the rest; of magnetism once, and last."""
    magnetic = [w for w in reading if isinstance(w, MagnetismWarning)]
    if any(isinstance(w, MagnetismWarning) for w in found):
        magnetic = []
    return [*(w for w in reading if not isinstance(w, MagnetismWarning)), *found, *magnetic]


class _Batch:
    """What the checks look at, laid end to end for all crystals."""

    def __init__(
        self,
        graphs: Sequence[CrystalGraph],
        header: WeightsHeader,
        weights: Shares,
        members: NDArray[np.float32] | None,
        instability: NDArray[np.float32] | None,
        crystals: Crystals,
    ) -> None:
        self.graphs, self.header, self.weights, self.members = graphs, header, weights, members
        self.instability = instability
        self.crystals = crystals
        self.n_sites, self.first_site = crystals.n_sites, crystals.first_site
        self.cutoff = graphs[0].cutoff

    def name(self, k: int) -> str:
        return self.crystals[k].name

    @cached_property
    def radii(self) -> NDArray[np.float64]:
        """Covalent radius of each site in Å."""
        return np.asarray(RADII[self.crystals.numbers])

    @cached_property
    def lonely(self) -> NDArray[np.int64]:
        """Sites of each crystal without a neighbour."""
        neighbors = np.bincount(self.bonds[0], minlength=len(self.radii))
        return np.add.reduceat(neighbors == 0, self.first_site, dtype=np.int64)

    @cached_property
    def gaps(self) -> NDArray[np.float64]:
        """Width of the widest empty layer of each crystal in Å; 0 where the networks see across."""
        return widest_gaps(self.crystals, self.cutoff * (1 + _ROUNDING))

    @cached_property
    def bonds(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Both sites of each edge but the self-edges, counted through the batch, and its length."""
        lengths = np.concatenate([g.lengths for g in self.graphs])
        shift = np.repeat(self.first_site, [g.n_edges for g in self.graphs])
        center = np.concatenate([g.center for g in self.graphs]) + shift
        neighbor = np.concatenate([g.neighbor for g in self.graphs]) + shift
        if (lengths == 0).any():
            bond = lengths > 0
            return center[bond], neighbor[bond], lengths[bond]
        return center, neighbor, lengths

    def crystals_with(self, species: Bools) -> Bools:
        """Crystals that hold one of some elements; `species` by atomic number, shape (119,)."""
        return self.crystals.any_species(species[self.crystals.species_number])


def _elements(several: frozenset[int]) -> Bools:
    return np.isin(np.arange(119), list(several))


_IS_MAGNETIC, _IS_NONMETAL = _elements(MAGNETIC), _elements(NONMETALS)
_IS_IONIC = _elements(IONIC)


def _unseen(batch: _Batch) -> Iterator[tuple[int, E3DOSWarning]]:
    if not batch.header.elements:
        return
    unseen = ~batch.header.seen
    for k in np.flatnonzero(batch.crystals_with(unseen)).tolist():
        present = sorted(set(batch.crystals[k].species_number.tolist()))
        names = ", ".join(chemical_symbols[z] for z in present if unseen[z])
        yield (
            k,
            UnseenElementWarning(
                f"{batch.name(k)}: the weights never saw {names}. The spectrum is an "
                "extrapolation; check it with a calculation, or train with examples of the element."
            ),
        )


def _alone(batch: _Batch) -> Iterator[tuple[int, E3DOSWarning]]:
    seen = batch.header.trust.get("alone")
    if seen is None:
        return
    for k in np.flatnonzero(batch.crystals.of_one_element).tolist():
        number = int(batch.crystals[k].species_number[0])
        if float(number) not in seen:
            name = chemical_symbols[number]
            yield (
                k,
                OutOfDistributionWarning(
                    f"{batch.name(k)}: no crystal of {name} alone is in the training data of the "
                    f"method that the model speaks for, and compounds say little of bonds between "
                    f"atoms of {name}. Do not rely on the spectrum or its error bars; check it "
                    "with a calculation."
                ),
            )


def _new_bonds(batch: _Batch) -> Iterator[tuple[int, E3DOSWarning]]:
    seen = batch.header.trust.get("bonds")
    if seen is None:
        return
    z = batch.crystals.numbers
    center, neighbor, length = batch.bonds
    first, second = z[center], z[neighbor]
    known = np.zeros((len(RADII), len(RADII)), dtype=bool)
    lower, higher = elements_of_code(np.array(seen, dtype=np.int64))
    known[lower, higher] = known[higher, lower] = True
    new = np.flatnonzero(~known[first, second])
    new = new[bonded(first[new], second[new], length[new], NEAR * (1 - _ROUNDING))]
    crystal = np.searchsorted(batch.first_site, center[new], side="right") - 1
    # Cations of a compound may touch, and are not bonded for that.
    metals = ~batch.crystals_with(_IS_NONMETAL)
    cations = ~_IS_NONMETAL[first[new]] & ~_IS_NONMETAL[second[new]] & ~metals[crystal]
    new, crystal = new[~cations], crystal[~cations]
    for k in np.unique(crystal).tolist():
        mine = new[crystal == k]
        pairs = elements_of_code(np.unique(codes_of(first[mine], second[mine])))
        names = ", ".join(
            f"{chemical_symbols[a]}-{chemical_symbols[b]}" for a, b in zip(*pairs, strict=True)
        )
        yield (
            k,
            OutOfDistributionWarning(
                f"{batch.name(k)}: atoms are next to each other as in no crystal of the training "
                f"data of this functional ({names}). Intervals of such crystals hold less often "
                "than they say; check it with a calculation."
            ),
        )


def _crowded(batch: _Batch) -> Iterator[tuple[int, E3DOSWarning]]:
    center, neighbor, length = batch.bonds
    usual = batch.radii[center] + batch.radii[neighbor]
    close = np.flatnonzero(length < 0.5 * (1 - _ROUNDING) * usual)
    if not len(close):
        return
    crystal = np.searchsorted(batch.first_site, center[close], side="right") - 1
    for k in np.unique(crystal).tolist():
        mine = close[crystal == k]
        worst = mine[np.argmin(length[mine] / usual[mine])]
        yield (
            k,
            CrowdedAtomsWarning(
                f"{batch.name(k)}: two atoms are {length[worst]:.2f} Å apart, less than half a "
                f"bond ({usual[worst]:.2f} Å). Check the structure for duplicate or misplaced "
                "atoms."
            ),
        )


#: What an empty layer parts, by the number of directions in which it goes on.
_PARTED = (
    "This is a molecule in a box, and the training data are crystals: do not use the spectrum or "
    "its error bars.",
    "These are chains or wires, and nearly all training data are bulk crystals: do not rely on the "
    "result.",
    "This is a slab or a single sheet, and nearly all training data are bulk crystals: do not rely "
    "on surface and bending modes. For the bulk, predict its own cell.",
    "Nearly all training data are without such layers: do not rely on the result.",
)


def _geometry(batch: _Batch) -> Iterator[tuple[int, E3DOSWarning]]:
    """Lonely atoms, empty layers, an unusual filling: the first of these that a crystal has."""
    lonely, gaps = batch.lonely, batch.gaps
    filling = np.add.reduceat(batch.radii**3, batch.first_site) / batch.crystals.volumes
    filling *= 4 / 3 * np.pi
    low, high = batch.header.trust.get("filling", (0.0, np.inf))
    unusual = (filling < (1 - _ROUNDING) * low) | (filling > (1 + _ROUNDING) * high)
    for k in np.flatnonzero((lonely > 0) | (gaps > 0) | unusual).tolist():
        if lonely[k]:
            text = (
                f"{lonely[k]} of {batch.n_sites[k]} sites have no neighbour within "
                f"{batch.cutoff:g} Å, and the model was trained on dense crystals. Do not use the "
                "spectrum of an isolated atom or molecule."
            )
        elif gaps[k]:
            text = (
                f"an empty layer of {gaps[k]:.1f} Å parts the cell, across which the networks see "
                f"nothing (their cut-off is {batch.cutoff:g} Å). "
                + _PARTED[periodic_directions(batch.graphs[k])]
            )
        else:
            what = "compressed" if filling[k] > high else "open"
            text = (
                f"atoms of covalent radius fill {filling[k]:.2f} of the cell; in the training data "
                f"it is {low:.2f} to {high:.2f}. The crystal is more {what} than what the model "
                "learned from (a slab, a molecule in a box, a strained cell?); do not rely on the "
                "result."
            )
        yield k, OutOfDistributionWarning(f"{batch.name(k)}: {text}")


def _disagreement(batch: _Batch) -> Iterator[tuple[int, E3DOSWarning]]:
    if batch.members is None:
        return
    means = batch.members @ batch.header.grid.wavenumbers.astype(batch.members.dtype)
    spread = means.std(axis=0, ddof=min(len(means) - 1, 1))
    relative = spread / np.maximum(np.abs(means.mean(axis=0)), 1.0)
    limit = batch.header.trust.get("disagreement", (DISAGREEMENT_LIMIT,))[0]
    for k in np.flatnonzero(relative > (1 + _ROUNDING) * limit).tolist():
        yield (
            k,
            OutOfDistributionWarning(
                f"{batch.name(k)}: the members behind the error bars disagree on the average "
                f"frequency by {100 * relative[k]:.2g} %; on nearly all crystals like the training "
                f"data it is less than {100 * limit:.2g} %. Use the intervals, and check with a "
                "calculation."
            ),
        )


def _imaginary(batch: _Batch) -> Iterator[tuple[int, E3DOSWarning]]:
    share = batch.weights[:, batch.header.grid.wavenumbers < 0].sum(axis=1)
    imaginary = share > (1 + _ROUNDING) * IMAGINARY_LIMIT
    odds = np.zeros(len(share)) if batch.instability is None else batch.instability
    for k in np.flatnonzero(imaginary | (odds > PROBABLY_UNSTABLE)).tolist():
        if imaginary[k]:
            text = f"{100 * share[k]:.1f} % of the modes are imaginary"
            dense = not (batch.lonely[k] or batch.gaps[k])
            if dense and batch.instability is not None and odds[k] <= PROBABLY_UNSTABLE:
                text += (
                    f", but the probability that more than 1 % are is {100 * odds[k]:.2g} %: the "
                    "structure may well be stable, and the imaginary modes an error in the lowest "
                    "branch of the spectrum. Check it with a calculation."
                )
            else:
                text += ": the structure is probably not stable as given. Relax it."
            text += (
                " Thermal properties leave these modes out (in Python, methods take "
                "imaginary='pretend_real' or 'refuse' instead)."
            )
        else:
            text = (
                "the structure is probably not stable as given: more than 1 % of the modes are "
                f"imaginary with a probability of {100 * odds[k]:.0f} %, but the spectrum cannot "
                "say which. Relax the structure in a larger cell, or check it with a calculation."
            )
        yield k, ImaginaryWeightWarning(f"{batch.name(k)}: {text}")


def _stretches(batch: _Batch) -> Iterator[tuple[int, E3DOSWarning]]:
    """Bonds whose stretching modes lie beyond a grid that ends where the paper's does."""
    top = float(batch.header.grid.wavenumbers[-1])
    if top > STRETCHES_BEYOND:
        return
    z, (center, neighbor, length) = batch.crystals.numbers, batch.bonds
    short = np.flatnonzero(length < (1 - _ROUNDING) * max(_STRETCHES.values()))
    pairs = codes_of(z[center[short]], z[neighbor[short]])
    reach = np.array([_STRETCHES.get(code, 0.0) for code in pairs.tolist()])
    kept = length[short] < (1 - _ROUNDING) * reach
    short, pairs = short[kept], pairs[kept]
    crystal = np.searchsorted(batch.first_site, center[short], side="right") - 1
    for k in np.unique(crystal).tolist():
        found = elements_of_code(np.unique(pairs[crystal == k]))
        names = ", ".join(f"{chemical_symbols[b]}-{chemical_symbols[a]}"
                          for a, b in zip(*found, strict=True))  # fmt: skip
        yield (
            k,
            TruncatedWeightWarning(
                f"{batch.name(k)}: bonds ({names}) are so short that their stretching modes lie, "
                f"as a rule, beyond the model's grid ({top:g} cm^-1), which puts these too low: "
                "heat capacity and entropy come out too high. Use a model with a wider grid "
                "(model='default')."
            ),
        )


def _edge(batch: _Batch) -> Iterator[tuple[int, E3DOSWarning]]:
    grid = batch.header.grid
    tail = max(1, round(0.02 * grid.n))
    share = batch.weights[:, -tail:].sum(axis=1)
    for k in np.flatnonzero(share > (1 + _ROUNDING) * EDGE_LIMIT).tolist():
        yield (
            k,
            TruncatedWeightWarning(
                f"{batch.name(k)}: {100 * share[k]:.1f} % of the modes lie at the upper end of the "
                f"model's grid ({grid.wavenumbers[-1]:g} cm^-1), so the true spectrum may reach "
                "beyond it. Use a model with a wider grid (model='default')."
            ),
        )


def _magnetism(batch: _Batch) -> Iterator[tuple[int, E3DOSWarning]]:
    metals = ~batch.crystals_with(_IS_NONMETAL)
    ionic = batch.crystals_with(_IS_IONIC)
    for k in np.flatnonzero(~ionic & batch.crystals_with(_IS_MAGNETIC)).tolist():
        present = set(batch.crystals[k].species_number.tolist())
        names = ", ".join(chemical_symbols[z] for z in sorted(present & MAGNETIC))
        where = "a metal" if metals[k] else "a compound"
        what = "magnetic order" if metals[k] else "spin state and magnetic order"
        yield (
            k,
            MagnetismWarning(
                f"{batch.name(k)}: {names} in {where}, whose phonons may depend on {what}. "
                "That is not an input of the model: the spectrum is that of the state which the "
                "training calculations happened to find. Check it with a calculation in the state "
                "that you mean."
            ),
        )


def _isotopes(batch: _Batch) -> Iterator[tuple[int, E3DOSWarning]]:
    for k in np.flatnonzero(batch.crystals.has_isotopes).tolist():
        yield (
            k,
            IsotopeWarning(
                f"{batch.name(k)}: masses differ from the standard ones. With site spectra "
                "each site's second moment follows 1/mass, which is exact, and where in the "
                "spectrum the mass shifts it is an approximation; a model without them moves all "
                "frequencies by one factor (docs/howto/isotopes.md)."
            ),
        )


def _volume(batch: _Batch) -> Iterator[tuple[int, E3DOSWarning]]:
    crystals = batch.crystals
    place = np.repeat(120 * np.arange(len(crystals)), crystals.n_species) + crystals.species_number
    amounts = np.bincount(place, crystals.species_fraction, 120 * len(crystals))
    shares = amounts.reshape(-1, 120).astype(np.float64, copy=False)
    shares /= shares.sum(axis=1, keepdims=True)
    known = expected(shares[:, :N_ELEMENTS])
    known[(shares[:, N_ELEMENTS:] > 0).any(axis=1)] = np.nan
    given = np.log(crystals.volumes / batch.n_sites)
    for k in np.flatnonzero(np.abs(given - known) > VOLUME_LIMIT).tolist():
        change = np.exp(given[k] - known[k]) - 1
        yield (
            k,
            UnlikelyVolumeWarning(
                f"{batch.name(k)}: the volume is {abs(change):.0%} "
                f"{'larger' if change > 0 else 'smaller'} than crystals of this composition have "
                "in the training data. Check cell and units; relax=CALCULATOR predicts the relaxed "
                "crystal."
            ),
        )


_CHECKS: tuple[Callable[[_Batch], Iterator[tuple[int, E3DOSWarning]]], ...] = (
    _unseen,
    _alone,
    _new_bonds,
    _crowded,
    _geometry,
    _volume,
    _disagreement,
    _imaginary,
    _stretches,
    _edge,
    _magnetism,
    _isotopes,
)
