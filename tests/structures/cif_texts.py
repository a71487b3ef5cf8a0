"""CIF texts for tests."""

from __future__ import annotations

import warnings
from collections.abc import Iterable

import numpy as np
from ase.data import chemical_symbols

from ase_e3dos.structures import Crystal
from ase_e3dos.structures.cif import cif_sites

CUBE = (5.64, 5.64, 5.64, 90, 90, 90)
SALT = (("Na1", "Na", "0 0 0"), ("Cl1", "Cl", ".5 .5 .5"))
ROCK_SALT = "_symmetry_space_group_name_H-M 'F m -3 m'"
P1 = "_symmetry_space_group_name_H-M 'P 1'"


def cell_text(cell: Iterable[object] = CUBE, form: str = "_cell_{}") -> str:
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    return "".join(f"{form.format(n)} {v}\n" for n, v in zip(names, cell, strict=True))


def loop(tags: str, rows: Iterable[str]) -> str:
    return "loop_\n" + "".join(f"{t}\n" for t in tags.split()) + "\n".join(rows) + "\n"


def operations(*triplets: str, tag: str = "_symmetry_equiv_pos_as_xyz") -> str:
    return loop(tag, [f"'{t}'" for t in triplets])


def atoms(*rows: str, tags: str = "label type_symbol fract_x fract_y fract_z") -> str:
    return loop(" ".join(f"_atom_site_{t}" for t in tags.split()), rows)


def salt(symmetry: str = ROCK_SALT, rows: object = SALT, more: str = "", **cell: object) -> str:
    lines = [" ".join(row) for row in rows]  # type: ignore[attr-defined]
    return f"data_x\n{cell_text(**cell)}{symmetry}\n{atoms(*lines)}{more}"  # type: ignore[arg-type]


def read_cif(text: str | bytes) -> Crystal:
    """The one crystal of a text; what there is to say about it in `warnings`."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = list(cif_sites(text, "x.cif"))
        assert len(found) == 1
        if isinstance(found[0], Exception):
            raise found[0]
        return Crystal.quietly(found[0], "x.cif")


def amounts(crystal: Crystal) -> dict[str, float]:
    counted = np.bincount(crystal.species_number, crystal.species_fraction)
    return {chemical_symbols[z]: round(float(n), 4) for z, n in enumerate(counted) if n > 0}


def kinds(crystal: Crystal) -> list[str]:
    return [type(w).__name__ for w in crystal.warnings]
