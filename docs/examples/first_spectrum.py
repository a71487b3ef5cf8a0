"""Spectrum, thermal properties and files of two crystals."""

from pathlib import Path

from ase_e3dos import predict
from ase_e3dos.export.plots import plot_summary

docs = Path(__file__).resolve().parents[1]
spectra = predict([docs / "crystals" / "NaCl.cif", docs / "crystals" / "SrTiO3.cif"])

for spectrum in spectra:
    per_formula = spectrum.per_formula_unit()
    print(f"{spectrum.crystal.formula}: {spectrum.n_modes:g} modes in the cell of the file")
    print(f"  mean wavenumber     {spectrum.mean_wavenumber:8.1f} cm^-1")
    print(f"  imaginary modes     {100 * spectrum.imaginary_fraction:8.2f} %")
    for t in (50.0, 300.0):
        print(
            f"  C_V({t:3.0f} K)          {per_formula.heat_capacity(t):8.2f} "
            "J/(K mol of formula units)"
        )
        print(
            f"  S({t:3.0f} K)            {per_formula.entropy(t):8.2f} J/(K mol of formula units)"
        )
    print(f"  F_vib(300 K)        {per_formula.free_energy(300.0):8.2f} kJ/(mol of formula units)")
    for warning in spectrum.warnings:
        print(f"  {type(warning).__name__}: {str(warning).partition(': ')[2]}")

plot_summary(spectra, docs / "figures" / "first_spectrum.png", units="cm-1")
