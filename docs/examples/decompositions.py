"""Five decompositions with known temperatures: entropies predicted, energies stated.

Enthalpies of formation at 298.15 K of the solids: NASA's polynomials of condensed phases (B. J.
McBride et al., NASA TM-4513 (1993), mostly after JANAF), which Cantera ships, but for MgH2: CRC
Handbook of Chemistry and Physics. The known temperatures are those of the same tables with measured
entropies and heat capacities, so that what is tested is what the network predicts. Tables differ in
enthalpies, too: CRC's of MgCO3 is 16 kJ/mol higher, and the temperature then 100 K lower. Beside
them: the temperatures with energies of a potential, which stand for those of a GGA.

Needs the package e3dos-thermochemistry (plugins/); with Cantera the known temperatures are
calculated anew. Writes docs/figures/decompositions.png.
Run: python docs/examples/decompositions.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from e3dos_thermochemistry import ReactionResult, react
from e3dos_thermochemistry.figures import plot_reaction
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from scipy.optimize import brentq

from ase_e3dos import predict
from ase_e3dos.export.plots import COLOURS, STYLE

DOCS = Path(__file__).resolve().parents[1]
CRYSTALS = DOCS.parent / "plugins" / "e3dos-thermochemistry" / "crystals"

ENTHALPIES = {  # kJ/mol
    "CaCO3": -1206.91,
    "MgCO3": -1111.71,
    "CaO": -635.09,
    "MgO": -601.25,
    "Mg(OH)2": -924.69,
    "Ca(OH)2": -986.10,
    "MgH2": -75.3,
    "Mg": 0.0,
}
# Without vibrations, eV a formula unit: the potential Nequix-OAM-1-PFT (PBE), crystals at the
# volume of its lowest energy, molecules in boxes.
ENERGIES = {
    "CaCO3": -37.4227,
    "MgCO3": -35.8611,
    "CaO": -12.8765,
    "MgO": -11.9617,
    "Mg(OH)2": -26.9424,
    "Ca(OH)2": -28.1256,
    "MgH2": -8.8585,
    "Mg": -1.6001,
    "CO2": -22.7169,
    "H2O": -14.0157,
    "H2": -6.6946,
}
FILES = {"Mg(OH)2": "MgO2H2", "Ca(OH)2": "CaO2H2"}
# equation: known temperature (K) at 1 bar, names in Cantera's tables
REACTIONS: dict[str, tuple[float, dict[str, str]]] = {
    "MgH2 -> Mg + H2": (569.0, {}),
    "Mg(OH)2 -> MgO + H2O": (
        541.0,
        {"Mg(OH)2": "MgO2H2(s)", "MgO": "MgO(s)", "H2O": "H2O"},
    ),
    "MgCO3 -> MgO + CO2": (675.0, {"MgCO3": "MgCO3(s)", "MgO": "MgO(s)", "CO2": "CO2"}),
    "Ca(OH)2 -> CaO + H2O": (
        794.0,
        {"Ca(OH)2": "CaO2H2(s)", "CaO": "CaO(s)", "H2O": "H2O"},
    ),
    "CaCO3 -> CaO + CO2": (1166.0, {"CaCO3": "CaCO3(caL)", "CaO": "CaO(s)", "CO2": "CO2"}),
}


def known_temperature(names: dict[str, str], typed: float) -> float:
    """Equilibrium temperature by NASA's polynomials in Cantera, where it is installed."""
    try:
        import cantera
    except ImportError:
        return typed
    files = ("nasa_condensed.yaml", "nasa_gas.yaml")
    tables = {s.name: s.thermo for f in files for s in cantera.Species.list_from_file(f)}
    if not names:
        return typed
    reactant, *products = (tables[n] for n in names.values())

    def change(t: float) -> float:
        return sum(p.h(t) - t * p.s(t) for p in products) - reactant.h(t) + t * reactant.s(t)

    return float(brentq(change, 350.0, 1500.0))


names = list(ENTHALPIES)
spectra = dict(
    zip(names, predict([str(CRYSTALS / f"{FILES.get(n, n)}.cif") for n in names]), strict=True)
)
results: list[tuple[ReactionResult, float]] = []
print(f"model {spectra['MgO'].model}; gases at 1 bar; equilibrium temperatures")
for equation, (typed, tables) in REACTIONS.items():
    solids = [spectra[n] for n in names if n in equation.replace("->", "+").split()]
    enthalpies = {n: ENTHALPIES[n] for n in names if n in equation.split()}
    t = np.arange(250, 1701, 5.0)
    found = react(equation, solids, enthalpies=enthalpies, temperatures=t)
    other = react(equation, solids, energies=ENERGIES, temperatures=t)
    known = known_temperature(tables, typed)
    results.append((found, known))
    crossing = found.equilibrium[0]
    entropy = np.interp(300.0, t, found.entropy)
    half = found.half_widths.get("entropy")
    bar = "" if half is None else f" ± {np.interp(300.0, t, half):.1f}"
    potential = other.equilibrium[0].temperature if other.equilibrium else np.nan
    print(
        f"{equation:21s} {crossing!s:25s} known {known:4.0f} K; with the potential's energies "
        f"{potential:4.0f} K; entropy at 300 K {entropy:.1f}{bar} J/(K mol)"
    )

with mpl.rc_context(STYLE):
    figure = Figure(figsize=(3.8, 2.8), layout="constrained")
    FigureCanvasAgg(figure)
    ax = figure.subplots()
    for (found, known), colour in zip(results, COLOURS, strict=False):
        plot_reaction(found, ax, colour=colour)
        ax.plot(known, 0.0, "|", ms=9, mew=1.5, color=colour)
    ax.set(xlim=(300, 1400), ylim=(-80, 150))
    ax.set_title("bars: known temperatures; dots: predicted", fontsize=7)
    figure.savefig(DOCS / "figures" / "decompositions.png", dpi=200)
