"""phonopy's YAML files of every age: the cell, from the file itself."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ase.units import Bohr

from ase_e3dos.errors import CrystalError, UnreadableFileError
from ase_e3dos.structures.calculators import IN_BOHR
from ase_e3dos.structures.elements import NotAnElementError, element_of_symbol, isotope_masses
from ase_e3dos.structures.json_text import shallow_recursion
from ase_e3dos.structures.moments import MOMENTS
from ase_e3dos.structures.objects import Site, merged_sites
from ase_e3dos.structures.sites import Sites

__all__ = ["phonopy_sites"]

#: Parts that hold a cell, in the order in which they are taken.
_CELLS = ("unit_cell", "primitive_cell", "supercell")
_HEADERS = ("phonopy", "phono3py")
_ANGSTROM = frozenset(("angstrom", "angstroms", "ang", "ang.", "a", "å"))
_BOHR = frozenset(("au", "a.u.", "a.u", "bohr", "bohrs", "atomic", "atomic_units", "a0"))
#: Keys under which files of several hands state the unit of length.
_UNITS = ("physical_unit", "physical_units", "units", "unit", "length_unit")
_KEY = re.compile(r"""^(["']?)([A-Za-z_]\w*)\1[ \t]*:""", re.MULTILINE)
_SAME_ROOM = 0.02
_LONGEST_WHOLE = 2**20


def phonopy_sites(text: str, label: str) -> Sites:
    """Sites of the unit cell of a phonopy YAML file, else of its primitive cell or supercell.

    Read are `phonopy.yaml`, `phonopy_disp.yaml` and `phonopy_params.yaml` of versions 1 to 4,
    those of phono3py, `disp.yaml`, `band.yaml` and `mesh.yaml` with a cell. Lengths are in the
    unit that the file states (Å or Bohr, in any spelling), else in that of its calculator.

    Parameters
    ----------
    text : str
    label : str
        What messages call the file.

    Returns
    -------
    Sites

    Raises
    ------
    UnreadableFileError
        It is not such a file.
    CrystalError
        Its cell is not complete or its unit not known.
    """
    data = _parsed(text, label)
    part = next((data[key] for key in _CELLS if _is_cell(data.get(key))), None)
    if part is None and _is_cell(data):
        part = data
        _check_number(part, label)
    if part is None:
        raise UnreadableFileError(
            f"{label}: no cell of phonopy in this YAML file (unit_cell, primitive_cell or "
            "supercell, with a lattice and points). Give a phonopy.yaml, or the structure itself."
        )
    try:
        factor = _angstrom(data)
        sites = _sites(part, factor)
        if part is data.get("unit_cell") and _is_cell(data.get("primitive_cell")):
            _check_density(sites, _sites(data["primitive_cell"], factor))
        return sites
    except (NotAnElementError, _CellError) as error:
        raise CrystalError(f"{label}: {error}.") from None


def _check_number(part: Mapping[str, Any], label: str) -> None:
    """Raise where a file announces another number of atoms than it has, because it is cut off."""
    points = part["points"] if "points" in part else part["atoms"]
    announced = part.get("natom")
    if isinstance(announced, int) and isinstance(points, list) and announced != len(points):
        raise CrystalError(
            f"{label}: natom is {announced}, and there are {len(points)} atoms. The file may be "
            "cut off; write it again."
        )


def _check_density(unit: Sites, primitive: Sites) -> None:
    """Raise where a unit cell has lost atoms, because the file is cut off behind some."""
    room = [
        abs(float(np.linalg.det(sites.cell))) / max(len(sites.scaled_positions), 1)
        for sites in (unit, primitive)
    ]
    if abs(room[0] / max(room[1], 1e-9) - 1.0) > _SAME_ROOM:
        raise _CellError(
            f"its unit cell has {room[0]:.4g} Å^3 for each atom, and its primitive cell "
            f"{room[1]:.4g}. The file may be cut off; write it again"
        )


class _CellError(ValueError):
    """A cell that is not complete, or of an unknown unit."""


def _parsed(text: str, label: str) -> Mapping[str, Any]:
    """The parts of the file that are needed; displacements and forces can be very long."""
    import yaml

    starts = [(m.start(), m[2]) for m in _KEY.finditer(text)]
    ends = [*(start for start, _ in starts), len(text)][1:]
    wanted = {*_CELLS, *_HEADERS, *_UNITS, "lattice", "points", "atoms", "calculator", "natom"}
    often = [key for key, n in Counter(key for _, key in starts).items() if n > 1 and key in wanted]
    if often:
        raise UnreadableFileError(f"{label}: {often[0]} is there twice. Delete the wrong one.")
    pieces = [
        text[start:end] for (start, key), end in zip(starts, ends, strict=True) if key in wanted
    ]
    if not pieces and len(text) < _LONGEST_WHOLE:  # in braces, or indented
        pieces = [text]
    try:
        with shallow_recursion():
            loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
            data = yaml.load("".join(pieces), Loader=loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = str(getattr(error, "problem", None) or error)[:120]
        raise UnreadableFileError(
            f"{label}: not valid YAML ({said}). Correct it, or write it again."
        ) from None
    return data if isinstance(data, Mapping) else {}


def _is_cell(part: Any) -> bool:
    return isinstance(part, Mapping) and "lattice" in part and ("points" in part or "atoms" in part)


def _angstrom(data: Mapping[str, Any]) -> float:
    """Å in a unit of length of the file."""
    units = next((data[key] for key in _UNITS if data.get(key) is not None), None)
    length = units.get("length") if isinstance(units, Mapping) else units
    if isinstance(length, str):
        name = length.strip().lower()
        if name in _ANGSTROM:
            return 1.0
        if name in _BOHR:
            return float(Bohr)
        raise _CellError(
            f"its unit of length {length[:40]!r} is not known. Write 'angstrom' or 'au'"
        )
    headers = [data.get(key) for key in _HEADERS]
    calculator = next(
        (h["calculator"] for h in headers if isinstance(h, Mapping) and "calculator" in h),
        data.get("calculator"),
    )
    return float(Bohr) if str(calculator).lower() in IN_BOHR else 1.0


def _sites(part: Mapping[str, Any], factor: float) -> Sites:
    points = part["points"] if "points" in part else part["atoms"]
    if not isinstance(points, Sequence) or isinstance(points, str) or not points:
        raise _CellError("its cell has no points. Give one for each atom")
    cell = _numbers(part["lattice"], (3, 3), "its lattice") * factor
    positions = np.empty((len(points), 3))
    sites: list[Site] = []
    magnetic = False
    for k, point in enumerate(points):
        if not isinstance(point, Mapping):
            raise _CellError(
                f"point {k + 1} of its cell is not a point. Give its symbol and coordinates"
            )
        coordinates = point.get("coordinates", point.get("position"))
        positions[k] = _numbers(coordinates, (3,), f"the coordinates of point {k + 1}")
        sites.append(_site(point, k))
        magnetic = magnetic or _is_magnetic(point.get("magnetic_moment"))
    return merged_sites(cell, positions, sites, (MOMENTS,) if magnetic else ())


def _site(point: Mapping[str, Any], k: int) -> Site:
    """Species of a point: one, one with its share, or a mixture."""
    mass = point.get("mass")
    given = None if mass is None else float(_numbers(mass, (), f"the mass of point {k + 1}"))
    if isinstance(point.get("mixture"), Sequence):
        site: Site = []
        for item in point["mixture"]:
            if not isinstance(item, Sequence) or len(item) != 2 or isinstance(item, str):
                raise _CellError(
                    f"the mixture on point {k + 1} is not a list of symbols and shares"
                )
            z, own = element_of_symbol(_text(item[0]))
            share = float(_numbers(item[1], (), f"a share on point {k + 1}"))
            site.append((z, share, own))
        return site
    symbol = point.get("symbol", point.get("extended_symbol"))
    if symbol is None:
        raise _CellError(f"point {k + 1} of its cell has no symbol. Give its element")
    z, own = element_of_symbol(_text(symbol))
    share = float(_numbers(point.get("weight", 1.0), (), f"the weight of point {k + 1}"))
    if given is not None:
        own = float(isotope_masses(np.array([z]), [given])[0])
    return [(z, share, own)]


def _text(symbol: Any) -> str:
    """A symbol as it was written: YAML takes No and On, without quotation marks, for truths."""
    return {False: "No", True: "On"}[symbol] if isinstance(symbol, bool) else str(symbol)


def _is_magnetic(moment: Any) -> bool:
    try:
        return moment is not None and bool(np.any(np.asarray(moment, dtype=np.float64)))
    except (TypeError, ValueError):
        return False


def _numbers(values: Any, shape: tuple[int, ...], what: str) -> Any:
    try:
        found = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        found = np.array([np.nan])
    if found.shape != shape or not np.isfinite(found).all():
        raise _CellError(f"{what} is not made of {'x'.join(map(str, shape)) or 'one'} number(s)")
    return found
