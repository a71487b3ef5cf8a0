"""Settings of the space groups x ways to state them: read rightly, wrongly, or refused.

Every setting of the International Tables as spglib has them (530), with two atoms in general
positions, read by the reader of CIF files; composition and every position are compared with the
operations of spglib's database. What is printed is the table on the page "What is read, and how".

Run: python docs/reference/symmetry_table.py > docs/reference/symmetry-table.txt
"""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import gemmi
import numpy as np
import spglib

from ase_e3dos.errors import E3DOSError
from ase_e3dos.structures.cif import cif_sites

PLACES = {30: (0.1131, 0.3077, 0.4093), 16: (0.2717, 0.1613, 0.0577)}


def cell_of(group: gemmi.SpaceGroup) -> tuple[float, ...]:
    """Lengths and angles of a cell of the shape that the setting needs, and of no higher one."""
    a, b, c, alpha, beta, gamma = 27.1, 32.3, 39.7, 83.0, 97.0, 104.0
    system = group.crystal_system_str()
    if system == "triclinic":
        return a, b, c, alpha, beta, gamma
    if system == "monoclinic":
        axis = group.monoclinic_unique_axis()
        each = zip("abc", (alpha, beta, gamma), strict=True)
        return (a, b, c, *(angle if axis == name else 90.0 for name, angle in each))
    if system == "orthorhombic":
        return a, b, c, 90.0, 90.0, 90.0
    if system == "cubic":
        return a, a, a, 90.0, 90.0, 90.0
    if group.ext == "R":
        return a, a, a, 77.0, 77.0, 77.0
    return a, a, c, 90.0, 90.0, 90.0 if system == "tetragonal" else 120.0


def statements(group: gemmi.SpaceGroup, known: Any) -> dict[str, str]:
    """What a file says about its symmetry, by the ways to say it."""
    triplets = "\n".join(f"'{op.triplet()}'" for op in group.operations())
    hall = f'"{group.hall}"' if "'" in group.hall else f"'{group.hall}'"
    number = f"_space_group_IT_number {group.number}\n"
    full = f"_space_group_name_H-M_full '{known.international_full}'\n"
    code = f"_space_group_IT_coordinate_system_code '{known.choice}'\n" if known.choice else ""
    return {
        "operations": f"loop_\n_space_group_symop_operation_xyz\n{triplets}\n",
        "Hall symbol": f"_space_group_name_Hall {hall}\n",
        "symbol with extension": f"_space_group_name_H-M_alt '{group.xhm()}'\n",
        "symbol with extension, number": f"_space_group_name_H-M_alt '{group.xhm()}'\n{number}",
        "full symbol, code of the setting": full + code,
        "number, code of the setting": number + code,
        "symbol without extension": f"_space_group_name_H-M_alt '{group.hm}'\n",
        "symbol without extension, number": f"_space_group_name_H-M_alt '{group.hm}'\n{number}",
        "full symbol alone": full,
    }


def outcome(text: str, places: dict[int, np.ndarray]) -> str:
    """Whether the crystal of a text has these places: "right", "wrong" or "refused"."""
    (sites,) = cif_sites(text, "setting")
    if isinstance(sites, E3DOSError):
        return "refused"
    numbers = np.asarray(sites.species_number)
    for z, expected in places.items():
        found = np.asarray(sites.scaled_positions)[numbers == z]
        apart = found[:, None] - expected
        close = np.abs(apart - np.rint(apart)).max(axis=2) < 2e-6
        if close.shape[0] != close.shape[1] or not (close.sum(axis=0) == 1).all():
            return "wrong"
    return "right, with a warning" if sites.remarks else "right"


def main() -> None:
    """Print the table."""
    found: dict[str, Counter[str]] = {}
    for k, group in enumerate(gemmi.spacegroup_table_itb(), 1):
        database = spglib.get_symmetry_from_database(k)
        w, t = database["rotations"], database["translations"]
        places = {z: np.array(p) @ w.transpose(0, 2, 1) + t for z, p in PLACES.items()}
        names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
        cell = "".join(
            f"_cell_{name} {value}\n" for name, value in zip(names, cell_of(group), strict=True)
        )
        tags = ("label", "type_symbol", "fract_x", "fract_y", "fract_z")
        atoms = "loop_\n" + "".join(f"_atom_site_{tag}\n" for tag in tags)
        for z, (x, y, v) in PLACES.items():
            symbol = gemmi.Element(z).name
            atoms += f"{symbol}1 {symbol} {x} {y} {v}\n"
        for way, said in statements(group, spglib.get_spacegroup_type(k)).items():
            found.setdefault(way, Counter())[outcome(f"data_x\n{cell}{said}{atoms}", places)] += 1
    columns = ("right", "right, with a warning", "wrong", "refused")
    print("stated by".ljust(36), *(name.rjust(len(name) + 2) for name in columns))
    for way, counts in found.items():
        cells = [str(counts[name]).rjust(len(name) + 2) for name in columns]
        print(way.ljust(36), *cells)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # spglib's, about its errors
    main()
