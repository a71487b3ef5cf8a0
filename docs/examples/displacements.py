"""U_iso from binned spectra against phonopy, and predicted U_iso against crystals never seen.

The second part needs the training data (E3DOS_DATA) and is left out without them.
Writes docs/figures/displacements.png. Run: python docs/examples/displacements.py [MODEL]
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from ase.build import bulk
from lattice_models import LatticeModel, emt, silicon_carbide, springs

from ase_e3dos import predict
from ase_e3dos.analysis.displacements import has_interval

DOCS = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("E3DOS_DATA", DOCS.parent.parent / "shared" / "data"))
MODEL = sys.argv[1] if len(sys.argv) > 1 else "default"
T = np.array([0.0, 100.0, 300.0, 600.0, 900.0])


def of_phonopy(model: LatticeModel, n: int) -> np.ndarray:
    """phonopy's thermal displacements averaged over the axes, shape (n_sites, n_temperatures)."""
    model.phonon.run_mesh([n] * 3, with_eigenvectors=True, is_mesh_symmetry=False)
    model.phonon.run_thermal_displacements(temperatures=T, freq_min=0.01)
    found = np.asarray(model.phonon.thermal_displacements.thermal_displacements)
    return found.reshape(len(T), -1, 3).mean(axis=2).T


def against_phonopy(ax: plt.Axes) -> None:
    """The same phonons: phonopy's displacements, and ours from bins of 10 cm^-1."""
    print("U_iso (Å^2) of the same phonons: phonopy, and the spectrum in bins of 10 cm^-1")
    salt = springs(bulk("NaCl", "rocksalt", a=5.64), [(2.9, 2.0, 0.1), (4.1, 0.5, 0.0)])
    models = {
        "Cu, EMT": emt("Cu"),
        "CuAu, EMT": emt("CuAu L1_0"),
        "SiC, Tersoff": silicon_carbide(),
        "NaCl, springs": salt,
    }
    worst = 0.0
    for name, model in models.items():
        reference = 2 * of_phonopy(model, 16) - of_phonopy(model, 8)  # the limit of fine meshes
        ours = model.spectrum(24).u_iso(T)
        worst = max(worst, float(np.abs(ours / reference - 1).max()))
        for symbol, a, b in zip(model.atoms.get_chemical_symbols(), reference, ours, strict=True):
            for t, p, q in zip(T, a, b, strict=True):
                print(f"{name:14s}{symbol:3s}{t:6.0f} K  {p:.5f}  {q:.5f}  {q / p - 1:+.1%}")
            (line,) = ax.plot(T, b, lw=1, label=f"{symbol} in {name}")
            ax.plot(T, a, "o", ms=3, color=line.get_color())
    print(f"largest difference {worst:.1%}")
    ax.set_title("same phonons: phonopy (dots), bins (lines)", fontsize=8)


def against_unseen_crystals(ax: plt.Axes) -> None:
    """Predictions for formulas that no network saw, against their site spectra."""
    from ase_e3dos.data.labelled_set import read_labelled
    from ase_e3dos.data.labels import DEFAULT_GRID
    from ase_e3dos.evaluation.displacement_errors import (
        REPORTED,
        displacement_errors,
        displacement_section,
    )
    from ase_e3dos.evaluation.metrics import format_errors
    from ase_e3dos.evaluation.predictions import evaluate
    from ase_e3dos.evaluation.reference import reference_spectra
    from ase_e3dos.phonon_spectrum import PhononSpectrum

    found = evaluate(MODEL, DATA / "mlip_nequix.parquet", source="nequix").predictions
    assert found is not None
    print("\nPredicted against known site spectra, formulas kept out of training; errors of ln U")
    errors = displacement_errors(found, REPORTED)
    for t in REPORTED:
        print(f"{t:g} K: {format_errors(displacement_section(errors, t))}")
    ours, theirs, masses = [], [], []
    for spectrum, bins in zip(found.spectra, found.labelled.bins, strict=True):
        known = PhononSpectrum(DEFAULT_GRID, site_density=bins, crystal=spectrum.crystal)
        if known.imaginary_fraction < 0.002:
            ours.append(spectrum.u_iso(300.0))
            theirs.append(known.u_iso(300.0))
            masses.append(spectrum.crystal.masses)
    x, y = np.concatenate(theirs), np.concatenate(ours)
    points = ax.scatter(x, y, 4, np.concatenate(masses), lw=0, cmap="viridis", alpha=0.7)
    ends = np.array([2e-3, 2e-1])
    factor = np.exp(np.quantile(np.abs(np.log(y / x)), 0.9))
    ax.plot(ends, ends, "k", lw=0.7)
    for f in (factor, 1 / factor):
        ax.plot(ends, ends * f, "k--", lw=0.5)
    ax.set(xscale="log", yscale="log", xlim=ends, ylim=ends)
    ax.set(xlabel=r"known $U_\mathrm{iso}$ (Å$^2$), 300 K", ylabel=r"predicted (Å$^2$)")
    ax.set_title(f"never seen; dashed: a factor of {factor:.2f}", fontsize=8)
    plt.colorbar(points, ax=ax, label="mass (amu)")

    # A total has no sites, but sum m_i <u_i^2> is its own: it judges the scale that DFPT sets.
    dfpt = read_labelled(DATA / "dfpt_petretto.parquet").split("valid")
    known = reference_spectra(dfpt)
    stable = [k for k, s in enumerate(known) if s.imaginary_fraction < 0.002]
    predicted = predict([dfpt.crystals[k] for k in stable], model=MODEL)
    print("mass-weighted mean displacements against DFPT, validation crystals")
    for t in REPORTED:
        size, inside = [], []
        for s, k in zip(predicted, stable, strict=True):
            shared = np.tile(known[k].density / s.crystal.n_sites, (s.crystal.n_sites, 1))
            reference = PhononSpectrum(
                known[k].wavenumbers, site_density=shared, crystal=s.crystal
            ).u_iso(t)
            m = s.crystal.masses
            error = abs(np.log(m @ s.u_iso(t) / (m @ reference)))
            size.append(error)
            if has_interval(s):
                inside.append(error <= np.log(m @ s.u_iso_interval(t)[1] / (m @ s.u_iso(t))))
        text = f"; inside the 90 % interval {np.mean(inside):.0%}" if inside else ""
        print(f"{t:g} K: n={len(size)} median={np.median(size):.3f}{text}")


def for_some_crystals(ax: plt.Axes) -> None:
    """Predicted U_iso with their intervals."""
    print("\nPredicted U_iso (Å^2) at 300 K")
    t = np.linspace(0, 600, 61)
    files = ["Cu.vasp", "Si.vasp", "NaCl.cif", "MgO.cif", "GaAs.vasp"]
    for spectrum in predict([DOCS / "crystals" / f for f in files], model=MODEL):
        symbols = spectrum.crystal.to_atoms().get_chemical_symbols()
        formula = spectrum.crystal.formula
        for symbol in dict.fromkeys(symbols):
            i = symbols.index(symbol)
            bar = f"± {spectrum.u_iso_std(300.0)[i]:.4f}, not calibrated"
            (line,) = ax.plot(t, spectrum.u_iso(t)[i], lw=1, label=f"{symbol} in {formula}")
            if has_interval(spectrum):
                low, high = spectrum.u_iso_interval(300.0)
                bar = f"({low[i]:.4f} to {high[i]:.4f})"
                ends = [[v[i]] for v in spectrum.u_iso_interval(t)]
                if formula in ("Cu", "MgO", "NaCl"):
                    ax.fill_between(t, *np.squeeze(ends), color=line.get_color(), alpha=0.1, lw=0)
            print(f"{symbol:3s} in {formula:6s} {spectrum.u_iso(300.0)[i]:.4f} {bar}")
    some = ", with some 90 % intervals" if has_interval(spectrum) else ""
    ax.set_title(f"predicted{some}", fontsize=8)


figure, axes = plt.subplots(1, 3, figsize=(9.6, 2.7), layout="constrained")
against_phonopy(axes[0])
for_some_crystals(axes[2])
for ax in axes[[0, 2]]:
    ax.set(xlabel="Temperature (K)", ylabel=r"$U_\mathrm{iso}$ (Å$^2$)")
    ax.set_ylim(bottom=0)
    ax.legend(fontsize=5.5, frameon=False)
if (DATA / "mlip_nequix.parquet").is_file():
    against_unseen_crystals(axes[1])
else:
    axes[1].set_axis_off()
figure.savefig(DOCS / "figures" / "displacements.png", dpi=200)
