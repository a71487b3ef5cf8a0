"""The sites of ASE Atoms, pymatgen structures and PhonopyAtoms, and sites as ASE Atoms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols
from ase.units import Bohr

from ase_e3dos.errors import CompositionWarning, CrystalError
from ase_e3dos.structures.calculators import IN_BOHR
from ase_e3dos.structures.contacts import close_pairs
from ase_e3dos.structures.elements import (
    DEUTERIUM_MASS,
    TRITIUM_MASS,
    NotAnElementError,
    element_of_symbol,
    isotope_masses,
    look_like_types,
)
from ase_e3dos.structures.fractions import fractions_under_other_names
from ase_e3dos.structures.masses import ISOTOPE_TOLERANCE, STANDARD_MASSES
from ase_e3dos.structures.moments import MOMENTS, has_moments
from ase_e3dos.structures.places import SAME_PLACE, groups_of_places
from ase_e3dos.structures.sites import Remark, Sites

if TYPE_CHECKING:
    from ase import Atoms

__all__ = [
    "atoms_from_sites",
    "formula_of",
    "is_single",
    "merged_sites",
    "name_of",
    "sites_of_atoms",
    "sites_of_object",
]

# ASE ---------------------------------------------------------------------------------------


def sites_of_atoms(atoms: Atoms, name: str = "") -> Sites:
    """Sites of ASE Atoms.

    Occupations are read from `info["occupancy"]` (a dict of dicts by the number in
    `arrays["spacegroup_kinds"]`, or by the index of the atom where there is no such array), as
    ASE's CIF reader writes them. Masses set on the atoms are kept; magnetic moments are remarked
    upon. Constraints, momenta and a calculator do not matter.

    Parameters
    ----------
    atoms : ase.Atoms
    name : str, optional
        What messages call them.

    Returns
    -------
    Sites

    Raises
    ------
    CrystalError
        They are not periodic along all axes, or their occupations cannot be read.
    """
    if not atoms.pbc.all():
        raise CrystalError(
            f"{name or atoms.symbols}: not periodic along all three vectors "
            f"(pbc is {atoms.pbc.tolist()}), and only a crystal has the phonons that the networks "
            "know. If the cell is that of a crystal, set atoms.pbc = True."
        )
    cell = atoms.cell.array
    try:
        scaled = atoms.positions @ np.linalg.inv(cell)
    except np.linalg.LinAlgError:
        scaled = atoms.positions  # Crystal refuses the cell
    remarks = (*_remarks(atoms), _TYPES) if look_like_types(atoms.numbers) else _remarks(atoms)
    if other := fractions_under_other_names(atoms.arrays):
        raise CrystalError(
            f"{name or atoms.symbols}: arrays[{other!r}] holds numbers that may be fractions of "
            "occupied sites. Call it 'occupancy' if they are, and else delete it."
        )
    if "occupancy" in atoms.info and len(atoms):
        sites = _occupied_sites(atoms, name or str(atoms.symbols))
        return merged_sites(cell, scaled, sites, remarks)
    masses = isotope_masses(atoms.numbers, atoms.arrays.get("masses"))
    if "occupancy" in atoms.arrays and (atoms.arrays["occupancy"] != 1).any():
        sites = _partly_occupied(atoms, masses, name or str(atoms.symbols))
        return merged_sites(cell, scaled, sites, remarks)
    site = np.arange(len(atoms))
    return Sites(cell, scaled, site, atoms.numbers, None, masses, remarks)


_TYPES = Remark(
    CompositionWarning,
    "the atomic numbers are 1, 2 and so on without a gap, as programs number their types: hydrogen "
    "and helium were taken. If they are types, set the elements.",
)


def _remarks(structure: Any) -> tuple[Remark, ...]:
    return (MOMENTS,) if has_moments(structure) else ()


Site = list[tuple[int, float, float]]
"""Atomic number, fraction and mass of each species of a site."""


def _occupied_sites(atoms: Atoms, label: str) -> list[Site]:
    occupancy = _contents(atoms.info["occupancy"], label)
    kinds = atoms.arrays.get("spacegroup_kinds", np.arange(len(atoms)))
    masses = isotope_masses(atoms.numbers, atoms.arrays.get("masses"))
    sites = []
    for i, (kind, symbol) in enumerate(zip(kinds.tolist(), atoms.symbols, strict=True)):
        if str(kind) not in occupancy:
            raise CrystalError(
                f"{label}: info['occupancy'] has no entry for atom {i} (kind {kind}). The "
                "atoms were changed after reading, or 'spacegroup_kinds' is missing: set both "
                "anew, or delete atoms.info['occupancy'] if every site is fully occupied."
            )
        content = {s: p for s, p in occupancy[str(kind)].items() if p != 0}
        if symbol not in content and not (symbol == "H" and {"D", "T"} & content.keys()):
            if len(content) != 1 or min(content.values()) < 1:
                raise CrystalError(
                    f"{label}: atom {i} is {symbol}, but info['occupancy'] says {content} for "
                    "its site. Make them agree, or delete atoms.info['occupancy']."
                )
            content = {symbol: 1.0}  # substituted after reading a fully occupied site
        site = [(*_element(s, label), p) for s, p in content.items()]
        mass = None if masses is None else float(masses[i])
        sites.append(_site_with_mass([(z, p, m) for z, m, p in site], mass, i, label))
    return sites


def _partly_occupied(atoms: Atoms, masses: Any, label: str) -> list[Site]:
    """Sites of atoms with a fraction for each, as ASE reads them from PDB files."""
    fractions = np.asarray(atoms.arrays["occupancy"])
    if fractions.shape != (len(atoms),) or not ((fractions > 0) & (fractions <= 1)).all():
        raise CrystalError(
            f"{label}: atoms.arrays['occupancy'] is not a fraction above zero and up to one for "
            "each atom. Correct it, or delete it if every site is fully occupied."
        )
    if masses is None:
        masses = STANDARD_MASSES[atoms.numbers]
    each = zip(atoms.numbers.tolist(), fractions.tolist(), masses.tolist(), strict=True)
    return [[species] for species in each]


def _contents(occupancy: Any, label: str) -> dict[str, dict[str, float]]:
    """Fractions by kind of site and symbol, or a CrystalError."""
    try:
        return {
            str(kind): {str(symbol): float(p) for symbol, p in content.items()}
            for kind, content in occupancy.items()
        }
    except (AttributeError, TypeError, ValueError) as error:
        raise CrystalError(
            f"{label}: info['occupancy'] is not what ASE writes ({error}). Give a dict of dicts, "
            "such as {'0': {'Si': 0.5, 'Ge': 0.5}}: the fraction of each element by kind of site."
        ) from error


def _site_with_mass(site: Site, mass: float | None, index: int, label: str) -> Site:
    """Put the one mass that ASE has for an atom on the species of its site."""
    if mass is None:
        return site
    if len(site) == 1:
        return [(site[0][0], site[0][1], mass)]
    average = sum(p * m for _, p, m in site) / sum(p for _, p, _ in site)
    if any(abs(mass - m) <= ISOTOPE_TOLERANCE * m for m in (average, *(m for *_, m in site))):
        return site
    raise CrystalError(
        f"{label}: atom {index} stands for a mixed site and has a mass of its own ({mass:.4g} "
        "amu), which cannot be divided among the species. Remove the mass, or build the Crystal "
        "with species_mass."
    )


def atoms_from_sites(sites: Sites, numbers: Any, masses: Any, mixed: bool) -> Atoms:
    """ASE Atoms with one number and mass for each site; see `Crystal.to_atoms`."""
    from ase import Atoms

    atoms = Atoms(
        numbers=numbers,
        cell=sites.cell,
        scaled_positions=sites.scaled_positions,
        masses=masses,
        pbc=True,
    )
    if mixed:
        occupancy: dict[str, dict[str, float]] = {}
        for site, z, p, mass in zip(
            sites.species_site.tolist(),
            sites.species_number.tolist(),
            sites.species_fraction.tolist(),
            sites.species_mass.tolist(),
            strict=True,
        ):
            content = occupancy.setdefault(str(site), {})
            symbol = {DEUTERIUM_MASS: "D", TRITIUM_MASS: "T"}.get(mass, chemical_symbols[z])
            content[symbol] = content.get(symbol, 0.0) + p
        atoms.info["occupancy"] = occupancy
        atoms.arrays["spacegroup_kinds"] = np.arange(len(sites.scaled_positions))
    return atoms


# Everything else ---------------------------------------------------------------------------


def name_of(obj: Any) -> str:
    """What a row of an ASE database is called; other objects have no name.

    Parameters
    ----------
    obj : object

    Returns
    -------
    str
    """
    return f"row {obj.id}" if ("ase", "AtomsRow") in _kinds(obj) else ""


def formula_of(atoms: Any) -> str:
    """What `get_chemical_formula` of ASE's objects says, in a tenth of the time."""
    numbers = getattr(atoms, "numbers", None)
    if not isinstance(numbers, np.ndarray) or numbers.max(initial=0) >= len(chemical_symbols):
        return str(atoms.get_chemical_formula())
    found: dict[int, int] = {}  # a Counter takes longer for so few
    for z in numbers.tolist():
        found[z] = found.get(z, 0) + 1
    counts = {chemical_symbols[z]: n for z, n in found.items()}
    order = sorted(counts)
    if "C" in counts:  # carbon and hydrogen come first then, after Hill
        order.sort(key=lambda symbol: {"C": 0, "H": 1}.get(symbol, 2))
    return "".join(f"{s}{counts[s]}" if counts[s] > 1 else s for s in order)


def _kinds(obj: Any) -> set[tuple[str, str]]:
    """Packages and names of the classes that an object is of."""
    return {(c.__module__.partition(".")[0], c.__name__) for c in type(obj).__mro__}


def sites_of_object(obj: Any, name: str = "") -> Sites:
    """Sites of a pymatgen structure, PhonopyAtoms, or a row of an ASE database.

    Parameters
    ----------
    obj : object
    name : str, optional
        What messages call it.

    Returns
    -------
    Sites

    Raises
    ------
    CrystalError
        It is none of these, or cannot be read.
    """
    kinds = _kinds(obj)
    if ("pymatgen", "IStructure") in kinds:
        return _sites_of_pymatgen(obj, name)
    if ("phonopy", "PhonopyAtoms") in kinds:
        return _sites_of_phonopy(obj, name)
    if ("ase", "AtomsRow") in kinds:
        return sites_of_atoms(obj.toatoms(), name)
    if ("phonopy", "Phonopy") in kinds:
        return _sites_of_phonopy(_unitcell(obj), name)
    inner = getattr(obj, "structure", None)  # computed entries, documents of databases
    if inner is not None and ("pymatgen", "IStructure") in _kinds(inner):
        return _sites_of_pymatgen(inner, name)
    if _is_spglib_cell(obj):
        return _sites_of_spglib(obj, name)
    hint = "Give ASE Atoms, a pymatgen Structure, PhonopyAtoms, a Crystal or the path of a file."
    if ("pymatgen", "IMolecule") in kinds:
        hint = "Give a periodic Structure; molecules have no phonon density of states."
    elif isinstance(obj, (list, tuple)):
        hint = "Give one structure; predict() takes lists, and ase_e3dos.structures.read() too."
    kind = type(obj).__name__
    raise CrystalError(
        f"{name or 'the structure'}: an object of type {kind} is not a crystal. {hint}"
    )


def _unitcell(phonon: Any) -> Any:
    """The unit cell of a Phonopy object, in Å."""
    cell = phonon.unitcell.copy()
    calculator = str(getattr(phonon, "calculator", None)).lower()
    cell.cell = cell.cell * (Bohr if calculator in IN_BOHR else 1.0)
    return cell


def is_single(obj: Any) -> bool:
    """Whether an object is one structure (several of their classes are iterable).

    Parameters
    ----------
    obj : object

    Returns
    -------
    bool
    """
    return (
        isinstance(obj, (Sites, str))
        or hasattr(obj, "cell")
        or hasattr(obj, "lattice")
        or hasattr(obj, "unitcell")
        or ("pymatgen", "IMolecule") in _kinds(obj)
        or ("pymatgen", "IStructure") in _kinds(getattr(obj, "structure", None))
        or _is_spglib_cell(obj)
    )


def _is_spglib_cell(obj: Any) -> bool:
    """Whether it is (lattice, positions, numbers), with or without magnetic moments."""
    if not isinstance(obj, (tuple, list)) or len(obj) not in (3, 4):
        return False
    if not all(isinstance(part, (list, tuple, np.ndarray)) for part in obj[:3]):
        return False
    try:
        cell, positions = (np.asarray(part, dtype=np.float64) for part in obj[:2])
        numbers = np.asarray(obj[2])
    except (TypeError, ValueError):
        return False
    return cell.shape == (3, 3) and positions.ndim == 2 and numbers.shape == positions.shape[:1]


def _sites_of_spglib(cell: Any, name: str) -> Sites:
    lattice, positions, numbers = (np.asarray(part) for part in cell[:3])
    if numbers.dtype.kind in "UO":  # symbols, clear enough
        species = [_element(str(symbol), name or "the cell") for symbol in numbers.tolist()]
        each: list[Site] = [[(z, 1.0, mass)] for z, mass in species]
        return merged_sites(lattice, positions, each)
    if look_like_types(numbers) or (len(numbers) > 1 and (numbers == 1).all()):
        raise CrystalError(
            f"{name or 'the cell'}: the third part of spglib's cell is made of 1, 2 and so on, "
            "which would be hydrogen and helium and looks like types. Give atomic numbers, or "
            "symbols."
        )
    if (numbers != np.rint(numbers)).any() or numbers.min(initial=1) < 1:
        raise CrystalError(
            f"{name or 'the cell'}: the third part of spglib's cell must be atomic numbers. Give "
            "those instead of types."
        )
    remarks = (MOMENTS,) if len(cell) == 4 and np.any(np.asarray(cell[3])) else ()
    return Sites(lattice, positions, np.arange(len(numbers)), numbers, remarks=remarks)


def _sites_of_pymatgen(structure: Any, name: str) -> Sites:
    label = name or structure.formula
    if not all(structure.lattice.pbc):
        raise CrystalError(
            f"{label}: the lattice is not periodic along all three vectors, and only a crystal "
            "has the phonons that the networks know. Give a Lattice with pbc=(True,) * 3."
        )
    sites = []
    for site in structure:
        species = [(*_element(_bare_symbol(s), label), float(p)) for s, p in site.species.items()]
        sites.append([(z, p, m) for z, m, p in species])
    cell = structure.lattice.matrix
    scaled = structure.frac_coords
    return merged_sites(cell, scaled, sites, _remarks(structure))


def _bare_symbol(species: Any) -> str:
    """Return the symbol of a pymatgen Element, Species (without charge and spin) or dummy."""
    element = getattr(species, "element", species)
    return str(getattr(element, "name", species.symbol))  # the symbol of D is H, its name is D


def _sites_of_phonopy(cell: Any, name: str) -> Sites:
    label = name or "the PhonopyAtoms"
    sites: list[Site] = []
    table = getattr(cell, "species_table", None)  # phonopy >= 4
    if table is not None and (cell.has_mixtures or getattr(cell, "has_weighted_species", False)):
        for species, mass in zip([table[i] for i in cell.species_ids], cell.masses, strict=True):
            if species.mixture is None:
                weight = 1.0 if species.weight is None else float(species.weight)
                sites.append([(int(species.atomic_number), weight, float(mass))])
                continue
            parts = [(*_element(s.rstrip("0123456789"), label), p) for s, p in species.mixture]
            average = sum(p * m for _, m, p in parts)
            # phonopy has one mass for the site: other than the average, all species share it
            ratio = float(mass) / average
            ratio = 1.0 if abs(ratio - 1.0) <= ISOTOPE_TOLERANCE else ratio
            sites.append([(z, float(p), m * ratio) for z, m, p in parts])
        return merged_sites(cell.cell, cell.scaled_positions, sites, _remarks(cell))
    numbers = cell.numbers
    masses = isotope_masses(numbers, cell.masses)
    site = np.arange(len(numbers))
    return Sites(cell.cell, cell.scaled_positions, site, numbers, None, masses, _remarks(cell))


def merged_sites(
    cell: Any, scaled: Any, sites: list[Site], remarks: tuple[Remark, ...] = ()
) -> Sites:
    """Sites from the species of each site; partly occupied sites at one place are merged.

    Parameters
    ----------
    cell : array_like, shape (3, 3)
        Lattice vectors in rows, Å.
    scaled : array_like, shape (n, 3)
        Scaled positions.
    sites : list of Site
        The species at each of them.
    remarks : tuple of Remark, optional

    Returns
    -------
    Sites
    """
    scaled = np.array(scaled, dtype=np.float64).reshape(-1, 3)
    index = np.array([i for i, site in enumerate(sites) for _ in site], dtype=np.int64)
    number, fraction, mass = (
        np.array([species[k] for site in sites for species in site]) for k in range(3)
    )
    if len(fraction) and (np.bincount(index, fraction, len(sites)) < 1 - 1e-9).any():
        scaled, index = _merged(np.asarray(cell, dtype=np.float64), scaled, index)
    return Sites(cell, scaled, index, number, fraction, mass, remarks)


def _merged(cell: Any, scaled: Any, index: Any) -> tuple[Any, Any]:
    """Positions of the places, and the place of each species instead of its site."""
    if not (np.isfinite(scaled).all() and np.isfinite(cell).all()) or cell.shape != (3, 3):
        return scaled, index  # Crystal refuses them
    wrapped = scaled - np.floor(scaled)
    wrapped[wrapped >= 1.0] = 0.0
    i, j, distance = close_pairs(cell, wrapped)
    same = distance < SAME_PLACE  # fractions that add to more than one are refused later
    if not same.any():
        return scaled, index
    place = groups_of_places(len(scaled), i[same], j[same])
    return scaled[np.unique(place, return_index=True)[1]], place[index]


def _element(symbol: str, label: str) -> tuple[int, float]:
    """Atomic number and mass of a symbol; D and T are hydrogen."""
    try:
        return element_of_symbol(symbol)
    except NotAnElementError as error:
        raise CrystalError(f"{label}: {error}.") from None
