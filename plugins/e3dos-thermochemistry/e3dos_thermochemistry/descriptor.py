"""Beside it: pymatgen's free energies from a fitted descriptor, without phonons.

`GibbsComputedStructureEntry` (C. J. Bartel et al., Nat. Commun. 9, 4168 (2018)) takes the volume
and the masses of an entry in place of its phonons, and measured energies of the elements.
"""

from __future__ import annotations

import numpy as np
from pymatgen.analysis.phase_diagram import PhaseDiagram
from pymatgen.entries.computed_entries import (
    ComputedEntry,
    ComputedStructureEntry,
    GibbsComputedStructureEntry,
)

from e3dos_thermochemistry.error_bars import Array
from e3dos_thermochemistry.errors import EntriesError
from e3dos_thermochemistry.hulls import Hulls

#: Range of the descriptor, K.
RANGE = (300.0, 2000.0)


def descriptor_above_hull(hulls: Hulls, temperature: float) -> Array:
    """Energies above the hull by the descriptor, for the same entries.

    Parameters
    ----------
    hulls : Hulls
    temperature : float
        K, from 300 to 2000.

    Returns
    -------
    ndarray, shape (n_entries,)
        eV per atom. Gases have the structure of a box with the molecule's volume in the first
        entry of its formula, which pymatgen replaces by measured free energies; where it has
        none, NaN.

    Raises
    ------
    EntriesError
        If the temperature is outside the descriptor's range.
    """
    if not RANGE[0] <= temperature <= RANGE[1]:
        raise EntriesError(
            f"pymatgen's descriptor holds from {RANGE[0]:g} to {RANGE[1]:g} K, not at "
            f"{temperature:g} K."
        )
    entries = []
    for k, entry in enumerate(hulls.entries):
        structure = getattr(entry, "structure", None)
        entries.append(_with_structure(entry, structure, k))
    found = np.full(len(entries), np.nan)
    # pymatgen looks gases up by the text of a whole temperature
    kelvin = int(temperature) if float(temperature).is_integer() else temperature
    gibbs = GibbsComputedStructureEntry.from_entries(entries, temp=kelvin)
    diagram = PhaseDiagram(gibbs)
    for entry in gibbs:
        found[entry.data["place"]] = diagram.get_e_above_hull(entry)
    return found


def _with_structure(entry: ComputedEntry, structure: object, k: int) -> ComputedStructureEntry:
    from pymatgen.core import Lattice, Structure

    if structure is None:  # a gas
        symbols = [
            s for s, n in entry.composition.get_el_amt_dict().items() for _ in range(round(n))
        ]
        box = Lattice.cubic(10.0)
        places = [[0.12 * i, 0.0, 0.0] for i in range(len(symbols))]
        structure = Structure(box, symbols, places)
    return ComputedStructureEntry(
        structure, entry.energy, composition=entry.composition, data={"place": k}, entry_id=str(k)
    )
