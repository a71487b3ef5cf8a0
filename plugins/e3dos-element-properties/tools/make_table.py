"""Write the table of element properties from the mendeleev package.

Usage: python make_table.py [path of the table]. The table is kept in the package, because weights
are trained on its numbers: another release of mendeleev must not change them unnoticed. After
writing a new one, raise `ElementProperties.version`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import mendeleev
import pandas as pd
from mendeleev.fetch import fetch_table

FOLDER = Path(__file__).parents[1] / "e3dos_element_properties"
COLUMNS = {
    "atomic_weight": "mass",  # amu
    "en_pauling": "electronegativity_pauling",
    "en_allen": "electronegativity_allen",  # eV
    "covalent_radius_pyykko": "covalent_radius",  # pm
    "atomic_radius_rahm": "atomic_radius",  # pm
    "metallic_radius_c12": "metallic_radius",  # pm
    "dipole_polarizability": "polarizability",  # Bohr^3
    "electron_affinity": "electron_affinity",  # eV
    "heat_of_formation": "atomisation_heat",  # kJ/mol, of the free atom
    "miedema_electron_density": "miedema_electron_density",
    "miedema_molar_volume": "miedema_molar_volume",  # cm^3
}


def main(path: Path) -> None:
    """Write the table to a file."""
    elements = fetch_table("elements").set_index("atomic_number")
    objects = [mendeleev.element(int(z)) for z in elements.index]
    table = pd.DataFrame(index=elements.index)
    table.index.name = "number"
    table["symbol"] = elements["symbol"]
    table["period"] = elements["period"]
    table["group"] = elements["group_id"].astype("Int64")
    table["block"] = elements["block"]
    table["valence_electrons"] = [element.nvalence() for element in objects]
    for source, column in COLUMNS.items():
        table[column] = elements[source].astype(float)
    bound = table["electron_affinity"] > 0  # negative ones are not measured, and not all in eV
    table["electron_affinity"] = table["electron_affinity"].where(bound)
    table["ionisation_energy"] = [element.ionenergies.get(1) for element in objects]  # eV
    table["melting_point"] = [_kelvin(element.melting_point) for element in objects]
    header = f"# mendeleev {mendeleev.__version__} (MIT licence), by tools/make_table.py\n"
    path.write_text(header + table.to_csv(float_format="%.6g"), encoding="utf-8")


def _kelvin(value: object) -> float:
    """Return the melting point; of the first allotrope where there are several."""
    if isinstance(value, dict):
        value = next(iter(value.values()))
    return float("nan") if value is None else float(value)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "elements.csv")
