"""When not to trust a prediction: what is unusual about a crystal or its spectrum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase.data import chemical_symbols, covalent_radii
from numpy.typing import NDArray

from ase_e3dos.errors import (
    CrowdedAtomsWarning,
    E3DOSWarning,
    ImaginaryWeightWarning,
    IsotopeWarning,
    MagnetismWarning,
    OutOfDistributionWarning,
    TruncatedWeightWarning,
    UnseenElementWarning,
)
from ase_e3dos.network.graph import cell_heights
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.masses import ISOTOPE_TOLERANCE, STANDARD_MASSES

if TYPE_CHECKING:
    from ase_e3dos.network.graph import CrystalGraph
    from ase_e3dos.network.weights import WeightsHeader

#: Share of the modes that may be imaginary without a warning.
IMAGINARY_LIMIT = 0.01
#: Share of the modes that may lie in the last 2 % of the grid without a warning.
EDGE_LIMIT = 0.005
#: Relative disagreement of the members on the average frequency without a warning.
DISAGREEMENT_LIMIT = 0.10
#: Elements whose metals and alloys order magnetically, with phonons that depend on it.
MAGNETIC = frozenset(chemical_symbols.index(s) for s in ("Cr", "Mn", "Fe", "Co", "Ni"))
#: Elements whose compounds are seldom metals: H, B to F, Si to Cl, Ge to Br, Te, I, noble gases.
NONMETALS = frozenset((1, 2, *range(5, 11), *range(14, 19), *range(32, 37), 52, 53, 54, 85, 86))

#: Covalent radius (Å) by atomic number; those that ASE does not have are its last one.
_RADII = np.append(
    covalent_radii, np.full(max(0, 119 - len(covalent_radii)), covalent_radii[-1])
).astype(np.float64)
#: Crystals below which a batch is looked at one by one.
_SMALLEST_SIEVE = 4
#: Factor of the limits in the fast look at a batch, against rounding.
_STRICTER = 1.0 - 1e-5


def assess(
    graph: CrystalGraph,
    header: WeightsHeader,
    weights: NDArray[np.float64] | NDArray[np.float32],
    members: NDArray[np.float32] | None,
) -> tuple[E3DOSWarning, ...]:
    """Warnings about one prediction, most serious first.

    Parameters
    ----------
    graph
        The crystal's graph.
    header
        Of the weights that made the prediction.
    weights
        Share of the modes in each bin, shape (n_bins,).
    members
        The same for each member of the ensemble, shape (n_members, n_bins), or None.

    Returns
    -------
    tuple of E3DOSWarning
        Empty where nothing is unusual. First of all what was said when the crystal was read.
    """
    reading = graph.crystal.warnings
    found = [
        *(w for w in reading if not isinstance(w, MagnetismWarning)),
        _unseen(graph, header),
        _crowded(graph),
        _geometry(graph, header),
        _disagreement(graph, header, members),
        _imaginary(graph, header, weights),
        _edge(graph, header, weights),
        _magnetism(graph),
        _isotopes(graph),
    ]
    if not any(isinstance(w, MagnetismWarning) for w in found):
        found += [w for w in reading if isinstance(w, MagnetismWarning)]
    return tuple(w for w in found if w is not None)


def assess_batch(
    graphs: Sequence[CrystalGraph],
    header: WeightsHeader,
    weights: NDArray[np.float64] | NDArray[np.float32],
    members: NDArray[np.float32] | None,
) -> list[tuple[E3DOSWarning, ...]]:
    """`assess` for the crystals of a batch, several times faster.

    Parameters
    ----------
    graphs
        At least one graph, all with the same cut-off.
    header
        Of the weights that made the predictions.
    weights
        Share of the modes in each bin, shape (n_crystals, n_bins).
    members
        The same for each member of the ensemble, shape (n_members, n_crystals, n_bins), or None.

    Returns
    -------
    list of tuple of E3DOSWarning
        For each crystal, as `assess` gives them.
    """
    suspect = np.ones(len(graphs), dtype=np.bool_)
    if len(graphs) >= _SMALLEST_SIEVE:
        suspect = _suspects(graphs, header, weights, members)
    return [
        assess(graph, header, weights[k], None if members is None else members[:, k])
        if suspect[k]
        else ()
        for k, graph in enumerate(graphs)
    ]


def _suspects(
    graphs: Sequence[CrystalGraph],
    header: WeightsHeader,
    weights: NDArray[np.float64] | NDArray[np.float32],
    members: NDArray[np.float32] | None,
) -> NDArray[np.bool_]:
    """Which crystals `assess` may have a warning for, shape (n_crystals,).

    The same tests as there, for all crystals at once, with limits that are stricter by more than
    rounding: no warning is missed, and what is marked without need costs only time.
    """
    crystals = [g.crystal for g in graphs]
    x = header.grid.wavenumbers
    tail = max(1, round(0.02 * header.grid.n))
    quiet = (weights[:, x < 0].sum(axis=1) <= _STRICTER * IMAGINARY_LIMIT) & (
        weights[:, -tail:].sum(axis=1) <= _STRICTER * EDGE_LIMIT
    )
    if members is not None:
        means = members @ x
        spread = means.std(axis=0, ddof=min(len(means) - 1, 1))
        limit = header.trust.get("disagreement", (DISAGREEMENT_LIMIT,))[0]
        quiet &= spread <= _STRICTER * limit * np.maximum(np.abs(means.mean(axis=0)), 1.0)
    quiet &= [not c.remarks for c in crystals]
    quiet &= ~(_strange_species(crystals, header) | has_isotopes(crystals))
    quiet &= _ordinary_geometry(graphs, header)
    return np.asarray(~quiet, dtype=np.bool_)


def _strange_species(crystals: Sequence[Crystal], header: WeightsHeader) -> NDArray[np.bool_]:
    """Crystals with an unseen element, or of metals with a magnetic one among them."""
    seen = header.elements
    kinds = np.array(
        [
            (seen and not seen.get(str(z)), z in MAGNETIC, z in NONMETALS)
            for z in range(len(chemical_symbols))
        ],
        dtype=np.bool_,
    )
    number = np.concatenate([c.species_number for c in crystals])
    first = _first([len(c.species_number) for c in crystals])
    unseen, magnetic, nonmetal = np.logical_or.reduceat(kinds[number], first, axis=0).T
    return np.asarray(unseen | (magnetic & ~nonmetal))


def has_isotopes(crystals: Sequence[Crystal]) -> NDArray[np.bool_]:
    """`Crystal.has_isotopes` of several crystals (at least one), shape (n_crystals,)."""
    standard = STANDARD_MASSES[np.concatenate([c.species_number for c in crystals])]
    mass = np.concatenate([c.species_mass for c in crystals])
    other = np.abs(mass - standard) > ISOTOPE_TOLERANCE * standard
    first = _first([len(c.species_number) for c in crystals])
    return np.asarray(np.logical_or.reduceat(other, first))


def _ordinary_geometry(graphs: Sequence[CrystalGraph], header: WeightsHeader) -> NDArray[np.bool_]:
    """Crystals without crowded or lonely atoms, empty layers or an unusual filling."""
    n_sites = [g.n_nodes for g in graphs]
    first = _first(n_sites)
    radii = _RADII[np.concatenate([g.crystal.numbers for g in graphs])]
    lengths = np.concatenate([g.lengths for g in graphs])
    bond = lengths > 0
    shift = np.repeat(first, [g.n_edges for g in graphs])
    center = (np.concatenate([g.center for g in graphs]) + shift)[bond]
    neighbor = (np.concatenate([g.neighbor for g in graphs]) + shift)[bond]
    crowded = lengths[bond] * _STRICTER < 0.5 * (radii[center] + radii[neighbor])
    wrong = np.bincount(center, minlength=len(radii)) == 0
    wrong[center[crowded]] = True

    cells = np.stack([g.crystal.cell for g in graphs])
    heights = 1.0 / np.linalg.norm(np.linalg.inv(cells), axis=1)
    number = np.repeat(np.arange(len(graphs)), n_sites)[:, None]
    ordered = np.sort(np.concatenate([g.crystal.scaled_positions for g in graphs]) + 2 * number, 0)
    following = np.roll(ordered, -1, axis=0)
    following[first + n_sites - 1] = ordered[first] + 1.0
    gaps = np.maximum.reduceat(following - ordered, first, axis=0) * heights
    low, high = header.trust.get("filling", (0.0, np.inf))
    filling = 4 / 3 * np.pi * np.add.reduceat(radii**3, first) / np.abs(np.linalg.det(cells))
    return np.asarray(
        ~np.logical_or.reduceat(wrong, first)
        & (gaps.max(axis=1) <= _STRICTER * graphs[0].cutoff)
        & (low <= _STRICTER * filling)
        & (filling <= _STRICTER * high)
    )


def _first(sizes: Sequence[int]) -> NDArray[np.int64]:
    """Where each of several groups begins, one after the other."""
    return np.cumsum([0, *sizes[:-1]])


def _unseen(graph: CrystalGraph, header: WeightsHeader) -> E3DOSWarning | None:
    if not header.elements:
        return None
    present = sorted(set(graph.crystal.species_number.tolist()))
    unseen = [chemical_symbols[z] for z in present if not header.elements.get(str(z))]
    if not unseen:
        return None
    return UnseenElementWarning(
        f"{graph.crystal.name}: the weights never saw {', '.join(unseen)}. The spectrum is an "
        "extrapolation; check it with a calculation, or train with examples of the element."
    )


def _crowded(graph: CrystalGraph) -> E3DOSWarning | None:
    bonds = graph.lengths > 0
    if not bonds.any():
        return None
    radii = covalent_radii[np.minimum(graph.crystal.numbers, len(covalent_radii) - 1)]
    length = graph.lengths[bonds]
    usual = radii[graph.center[bonds]] + radii[graph.neighbor[bonds]]
    worst = int(np.argmin(length / usual))
    if length[worst] >= 0.5 * usual[worst]:
        return None
    return CrowdedAtomsWarning(
        f"{graph.crystal.name}: two atoms are {length[worst]:.2f} Å apart, less than half a bond "
        f"({usual[worst]:.2f} Å). Check the structure for duplicate or misplaced atoms."
    )


def _geometry(graph: CrystalGraph, header: WeightsHeader) -> E3DOSWarning | None:
    crystal = graph.crystal
    lonely = int((np.bincount(graph.center, minlength=graph.n_nodes) <= graph_self(graph)).sum())
    if lonely:
        return OutOfDistributionWarning(
            f"{crystal.name}: {lonely} of {crystal.n_sites} sites have no neighbour within "
            f"{graph.cutoff:g} Å, and the model was trained on dense crystals. Do not use the "
            "spectrum of an isolated atom or molecule."
        )
    gap = _widest_gap(crystal)
    if gap > graph.cutoff:
        return OutOfDistributionWarning(
            f"{crystal.name}: an empty layer of {gap:.1f} Å parts the cell, across which the "
            f"networks see nothing (their cut-off is {graph.cutoff:g} Å). This is a slab or a "
            "single sheet, and nearly all training data are bulk crystals: do not rely on surface "
            "and bending modes. For the bulk, predict its own cell."
        )
    radii = covalent_radii[np.minimum(crystal.numbers, len(covalent_radii) - 1)]
    filling = 4 / 3 * np.pi * float((radii**3).sum()) / crystal.volume
    low, high = header.trust.get("filling", (0.0, np.inf))
    if low <= filling <= high:
        return None
    what = "compressed" if filling > high else "open"
    return OutOfDistributionWarning(
        f"{crystal.name}: atoms of covalent radius fill {filling:.2f} of the cell; in the training "
        f"data it is {low:.2f} to {high:.2f}. The crystal is more {what} than what the model "
        "learned from (a slab, a molecule in a box, a strained cell?); do not rely on the result."
    )


def _widest_gap(crystal: Crystal) -> float:
    """Widest layer (Å) without a site that is parallel to two lattice vectors."""
    ordered = np.sort(crystal.scaled_positions, axis=0)
    gaps = np.diff(ordered, axis=0, append=ordered[:1] + 1.0).max(axis=0)
    return float((gaps * cell_heights(crystal.cell)).max())


def graph_self(graph: CrystalGraph) -> int:
    """Number of self-edges of each site, 0 or 1."""
    return int(bool(len(graph.lengths)) and bool((graph.lengths == 0).any()))


def _disagreement(
    graph: CrystalGraph, header: WeightsHeader, members: NDArray[np.float32] | None
) -> E3DOSWarning | None:
    if members is None:
        return None
    means = (members @ header.grid.wavenumbers).tolist()  # a few numbers: faster than arrays
    mean = sum(means) / len(means)
    variance = sum((m - mean) ** 2 for m in means) / max(len(means) - 1, 1)
    relative = variance**0.5 / max(abs(mean), 1.0)
    if relative <= header.trust.get("disagreement", (DISAGREEMENT_LIMIT,))[0]:
        return None
    return OutOfDistributionWarning(
        f"{graph.crystal.name}: the networks of the ensemble disagree on the average frequency by "
        f"{100 * relative:.0f} %, more than on nearly all crystals like the training data. Use "
        "the intervals, and check with a calculation."
    )


def _imaginary(
    graph: CrystalGraph, header: WeightsHeader, weights: NDArray[np.floating]
) -> E3DOSWarning | None:
    share = float(weights[header.grid.wavenumbers < 0].sum())
    if share <= IMAGINARY_LIMIT:
        return None
    return ImaginaryWeightWarning(
        f"{graph.crystal.name}: {100 * share:.1f} % of the modes are imaginary: the structure is "
        "probably not stable as given. Thermal properties leave these modes out; relax the "
        "structure, or choose imaginary='pretend_real' or 'refuse'."
    )


def _edge(
    graph: CrystalGraph, header: WeightsHeader, weights: NDArray[np.floating]
) -> E3DOSWarning | None:
    grid = header.grid
    tail = max(1, round(0.02 * grid.n))
    share = float(weights[-tail:].sum())
    if share <= EDGE_LIMIT:
        return None
    return TruncatedWeightWarning(
        f"{graph.crystal.name}: {100 * share:.1f} % of the modes lie at the upper end of the "
        f"model's grid ({grid.wavenumbers[-1]:g} cm^-1), so the true spectrum may reach beyond it. "
        "Use a model with a wider grid (model='default')."
    )


def _magnetism(graph: CrystalGraph) -> E3DOSWarning | None:
    present = set(graph.crystal.species_number.tolist())
    magnetic = sorted(present & MAGNETIC)
    if not magnetic or present & NONMETALS:
        return None
    names = ", ".join(chemical_symbols[z] for z in magnetic)
    return MagnetismWarning(
        f"{graph.crystal.name}: {names} in a metal, whose phonons may depend on magnetic order. "
        "That is no input of the model: the spectrum is that of the state which the training "
        "calculations happened to find. Check it with a calculation in the state that you mean."
    )


def _isotopes(graph: CrystalGraph) -> E3DOSWarning | None:
    if not graph.crystal.has_isotopes:
        return None
    return IsotopeWarning(
        f"{graph.crystal.name}: masses differ from the standard ones. With site spectra "
        "each site's second moment follows 1/mass, which is exact, and where in the spectrum the "
        "mass shifts it is an approximation; a model without them moves all frequencies by one "
        "factor (docs/howto/isotopes.md)."
    )
