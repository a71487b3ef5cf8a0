"""Write the crystals of the examples (../crystals), from measured structures at room temperature.

Calcite and magnesite: Effenberger et al., Z. Kristallogr. 156, 233 (1981); brucite: Zigan and
Rothbauer, Neues Jahrb. Mineral. Monatsh. 137 (1967); portlandite: Busing and Levy, J. Chem. Phys.
26, 563 (1957); MgH2: Zachariasen et al., Acta Cryst. 16, 352 (1963); MgO, CaO and Mg: the usual
lattice constants.
"""

from __future__ import annotations

from pathlib import Path

from ase.spacegroup import crystal

SIDE = (1 / 3, 2 / 3)
CRYSTALS = {
    "CaCO3": ("CaCO", [(0, 0, 0), (0, 0, 0.25), (0.2568, 0, 0.25)], 167, (4.9896, 17.0610)),
    "MgCO3": ("MgCO", [(0, 0, 0), (0, 0, 0.25), (0.2778, 0, 0.25)], 167, (4.6328, 15.0129)),
    "CaO": ("CaO", [(0, 0, 0), (0.5, 0.5, 0.5)], 225, (4.8105,)),
    "MgO": ("MgO", [(0, 0, 0), (0.5, 0.5, 0.5)], 225, (4.2117,)),
    "MgO2H2": ("MgOH", [(0, 0, 0), (*SIDE, 0.2203), (*SIDE, 0.4303)], 164, (3.142, 4.766)),
    "CaO2H2": ("CaOH", [(0, 0, 0), (*SIDE, 0.2341), (*SIDE, 0.4248)], 164, (3.5918, 4.9063)),
    "MgH2": ("MgH", [(0, 0, 0), (0.306, 0.306, 0)], 136, (4.5168, 3.0205)),
    "Mg": ("Mg", [(*SIDE, 0.25)], 194, (3.2094, 5.2108)),
}
FOLDER = Path(__file__).resolve().parents[1] / "crystals"

for name, (symbols, basis, group, lengths) in CRYSTALS.items():
    a, c = lengths[0], lengths[-1]
    hexagonal = group in (164, 167, 194)
    atoms = crystal(
        symbols,
        basis,
        spacegroup=group,
        cellpar=[a, a, c, 90, 90, 120 if hexagonal else 90],
        primitive_cell=True,
    )
    FOLDER.mkdir(exist_ok=True)
    atoms.write(FOLDER / f"{name}.cif")
