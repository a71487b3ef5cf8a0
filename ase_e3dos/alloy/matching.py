"""The sites of one crystal found in another: same structure type, any setting.

The geometry is matched by pymatgen's StructureMatcher (any choice of basis, origin, order of
sites, orientation, handedness, and whole multiples of a smaller cell). Which species may stand
for which is decided here: species that both crystals share stay in place where that fits, others
go to the chemically closest.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from ase_e3dos.errors import AlloyError
from ase_e3dos.structures.crystal import Crystal

#: Content of a site: (atomic number, fraction) of each species.
Content = tuple[tuple[int, float], ...]
Pairs = frozenset[tuple[str, str]]

#: Tolerances of the match: relative lengths, angles in degrees, and distances of sites in units
#: of (volume per site)^(1/3), both crystals scaled to one volume.
LENGTH_TOLERANCE, ANGLE_TOLERANCE, SITE_TOLERANCE = 0.15, 5.0, 0.25

#: How much worse (same units) a match may be for keeping shared species in place.
CHEMISTRY_MARGIN = 0.1

#: Ways to pair species that are tried at most.
_MAX_PAIRINGS, _MAX_FUNCTIONS = 24, 50_000


@dataclass(frozen=True, slots=True, eq=False)
class SiteMatch:
    """A crystal in the basis and the order of sites of another.

    Attributes
    ----------
    cell : ndarray, shape (3, 3)
        Its lattice vectors, in its own orientation, that match those of the other, Å.
    scaled_positions : ndarray, shape (n_sites, 3)
        Its sites in this basis, each next to the site of the other that it matches.
    sites : ndarray of int, shape (n_sites,)
        The index of each site in the crystal as given.
    """

    cell: NDArray[np.float64]
    scaled_positions: NDArray[np.float64]
    sites: NDArray[np.int64]


def match_sites(reference: Crystal, other: Crystal) -> SiteMatch:
    """Find the sites of a crystal that correspond to those of a reference.

    Parameters
    ----------
    reference, other : Crystal
        Of the same structure type; `reference.n_sites` is a multiple of `other.n_sites`.

    Returns
    -------
    SiteMatch

    Raises
    ------
    AlloyError
        If the two are not of the same structure type.
    """
    both = f"{reference.name} and {other.name}"
    if reference.n_sites % other.n_sites:
        raise AlloyError(
            f"{both} have {reference.n_sites} and {other.n_sites} sites in their cells, and "
            "neither number is a multiple of the other. Give cells of the same size: supercells "
            "with as many sites each."
        )
    contents = site_contents(reference), site_contents(other)
    labels = tuple(_dummies(c, prefix) for c, prefix in zip(contents, (1, 60), strict=True))
    structures = [
        _structure(crystal, [names[c] for c in content])
        for crystal, content, names in zip((reference, other), contents, labels, strict=True)
    ]
    loosest = frozenset(itertools.product(labels[0].values(), labels[1].values()))
    best = _geometric_match(structures, loosest)
    if best is None:
        raise AlloyError(
            f"{both} are not of the same structure type: no choice of cell, origin and order of "
            f"sites brings their sites together (lengths within {LENGTH_TOLERANCE:.0%}, angles "
            f"within {ANGLE_TOLERANCE:g}°, sites within {SITE_TOLERANCE:g} of their distance). "
            "Interpolate between crystals with the same prototype, or predict a disordered "
            "structure by itself."
        )
    worst = _distance(reference, best) + CHEMISTRY_MARGIN
    for pairing in _pairings(*contents):
        pairs = frozenset((labels[0][a], labels[1][b]) for a, b in pairing)
        match = best if pairs == loosest else _geometric_match(structures, pairs)
        if match is not None and _distance(reference, match) <= worst:
            return match
    return best


def site_contents(crystal: Crystal) -> list[Content]:
    """What each site holds, species by atomic number."""
    contents: list[dict[int, float]] = [{} for _ in range(crystal.n_sites)]
    for site, z, p in zip(
        crystal.species_site.tolist(),
        crystal.species_number.tolist(),
        crystal.species_fraction.tolist(),
        strict=True,
    ):
        contents[site][z] = contents[site].get(z, 0.0) + p
    return [tuple(sorted((z, round(p, 6)) for z, p in c.items())) for c in contents]


# Geometry ----------------------------------------------------------------------------------


def _dummies(contents: Sequence[Content], first: int) -> dict[Content, str]:
    """An element that stands for each different content."""
    different = sorted(set(contents))
    if len(different) > 50:
        raise AlloyError(
            f"One end member has {len(different)} kinds of sites, too many to match. Use end "
            "members with ordered sites or fewer compositions."
        )
    return {content: chemical_symbols[first + i] for i, content in enumerate(different)}


def _structure(crystal: Crystal, symbols: list[str]) -> Any:
    from pymatgen.core.lattice import Lattice
    from pymatgen.core.structure import Structure

    return Structure(
        Lattice(crystal.cell),
        symbols,
        crystal.scaled_positions,
        site_properties={"index": list(range(crystal.n_sites))},
    )


def _geometric_match(structures: Sequence[Any], pairs: Pairs) -> SiteMatch | None:
    """Best match in which only the pairs of dummy elements given stand for each other."""
    from pymatgen.analysis.structure_matcher import AbstractComparator, StructureMatcher

    both_ways = pairs | {(b, a) for a, b in pairs}

    class PairComparator(AbstractComparator):  # type: ignore[misc, unused-ignore]
        """Species are equal where the pairing says so."""

        def are_equal(self, sp1: Any, sp2: Any) -> bool:
            """Whether one may stand for the other."""
            return (sp1.elements[0].symbol, sp2.elements[0].symbol) in both_ways

        def get_hash(self, composition: Any) -> str:
            """One for all: the comparison is in `are_equal`."""
            return ""

    reference, other = structures
    matcher: Any = StructureMatcher(
        ltol=LENGTH_TOLERANCE,
        stol=SITE_TOLERANCE,
        angle_tol=ANGLE_TOLERANCE,
        primitive_cell=False,
        scale=True,
        attempt_supercell=len(reference) != len(other),
        allow_subset=False,
        comparator=PairComparator(),
        supercell_size="num_sites",
    )
    matched = matcher.get_s2_like_s1(reference, other)
    if matched is None:
        return None
    scaled = np.array(matched.frac_coords)
    scaled -= np.rint(scaled - reference.frac_coords)
    sites = np.array(matched.site_properties["index"], dtype=np.int64)
    return SiteMatch(np.array(matched.lattice.matrix), scaled, sites)


def _distance(reference: Crystal, match: SiteMatch) -> float:
    """Root mean square distance of matched sites over (volume per site)^(1/3)."""
    difference = match.scaled_positions - reference.scaled_positions
    vectors = (difference - difference.mean(axis=0)) @ reference.cell
    spacing = (reference.volume / reference.n_sites) ** (1 / 3)
    return float(np.sqrt((vectors**2).sum(axis=1).mean()) / spacing)


# Chemistry ---------------------------------------------------------------------------------


def _pairings(
    reference: Sequence[Content], other: Sequence[Content]
) -> Iterator[list[tuple[Content, Content]]]:
    """Ways to pair the contents of sites, chemically closest first.

    A pairing is a function from the kinds of sites of one crystal to those of the other, in
    either direction, that agrees with their numbers.
    """
    multiple = len(reference) // len(other)
    first = Counter(reference)
    second = Counter({content: multiple * n for content, n in Counter(other).items()})
    found: dict[frozenset[tuple[Content, Content]], float] = {}
    for pairing in _functions(first, second):
        cost = sum(first[a] * _dissimilarity(a, b) for a, b in pairing)
        found[frozenset(pairing)] = cost
    for reverse in _functions(second, first):
        pairing = [(a, b) for b, a in reverse]
        cost = sum(second[b] * _dissimilarity(a, b) for a, b in pairing)
        found[frozenset(pairing)] = cost
    ranked = sorted(found, key=lambda pairing: (found[pairing], sorted(pairing)))
    for chosen in ranked[:_MAX_PAIRINGS]:
        yield sorted(chosen)


def _functions(
    source: Counter[Content], target: Counter[Content]
) -> Iterator[list[tuple[Content, Content]]]:
    """Functions from one set of contents onto the other that agree with the numbers of sites."""
    kinds, images = sorted(source), sorted(target)
    choices = itertools.islice(itertools.product(images, repeat=len(kinds)), _MAX_FUNCTIONS)
    for choice in choices:
        counts: Counter[Content] = Counter()
        for kind, image in zip(kinds, choice, strict=True):
            counts[image] += source[kind]
        if counts == target:
            yield list(zip(kinds, choice, strict=True))


def _dissimilarity(a: Content, b: Content) -> float:
    """0 for the same species; 1 and more for others, least within a group of the table."""
    from pymatgen.core.periodic_table import Element

    first, second = dict(a), dict(b)
    changed = sum(abs(first.get(z, 0.0) - second.get(z, 0.0)) for z in {*first, *second}) / 2

    def average(content: dict[int, float], values: str) -> float:
        total = sum(content.values())
        elements = [(Element.from_Z(z), p) for z, p in content.items()]
        return sum(float(getattr(e, values)) * p for e, p in elements) / total

    x = abs(average(first, "X") - average(second, "X"))
    group = abs(average(first, "group") - average(second, "group"))
    return changed + (0.0 if np.isnan(x) else x) + 0.05 * group
