"""Descriptors of one spectrum, and of the validation crystals against DFPT.

The second part needs the training data (E3DOS_DATA) and is left out without them.
Writes docs/figures/descriptors.png. Run: python docs/examples/descriptors.py
"""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from ase_e3dos import PhononSpectrum, predict
from ase_e3dos.analysis import descriptors as d

DOCS = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("E3DOS_DATA", DOCS.parent.parent / "shared" / "data"))


def one_spectrum(ax: plt.Axes) -> None:
    """GaN with its edges, gap, peaks and mean."""
    (spectrum,) = predict([DOCS / "crystals" / "GaN.cif"])
    x, y = spectrum.wavenumbers, spectrum.density
    ax.fill_between(x, y, color="0.85", lw=0)
    ax.plot(x, y, color="0.3", lw=0.8)
    for gap in d.band_gaps(spectrum):
        ax.axvspan(gap.low, gap.high, color="#56B4E9", alpha=0.3, lw=0)
        print(f"GaN: gap from {gap.low:.0f} to {gap.high:.0f} cm^-1")
    for edge in d.band_edges(spectrum):
        ax.axvline(edge, color="#0072B2", lw=0.8, ls="--")
    ax.axvline(d.moment(spectrum, 1), color="#D55E00", lw=0.8)
    peaks = d.peaks(spectrum)
    ax.plot(peaks, np.interp(peaks, x, y), "v", color="k", ms=3)
    ax.set(xlim=(0, 850), xlabel="Wavenumber (cm$^{-1}$)", yticks=[])
    ax.set_title("GaN: gap, edges, mean, peaks", fontsize=8)
    ax.set_ylim(bottom=0)
    heat = d.debye_temperature_from_heat_capacity(spectrum, [50.0, 100.0, 300.0])
    print("GaN: Debye temperature from C_V at 50, 100, 300 K:", *(f"{t:.0f}" for t in heat), "K")
    theta, weights = d.einstein_fit(spectrum, 2)
    print(
        "GaN: two Einstein modes:",
        *(f"{t:.0f} K ({w:.0%})" for t, w in zip(theta, weights, strict=True)),
    )
    print(f"GaN: from all 17 descriptors, last peak {spectrum.describe()['last_peak']:.0f} cm^-1")


def against_dfpt(axes: list[plt.Axes]) -> None:
    """Predicted descriptors of the validation crystals against those of the DFPT spectra."""
    from ase_e3dos.data.labelled_set import read_labelled
    from ase_e3dos.evaluation.reference import reference_spectra

    labelled = read_labelled(DATA / "dfpt_petretto.parquet").split("valid")
    predicted = predict(labelled.crystals)
    known = []
    for raw, spectrum in zip(reference_spectra(labelled), predicted, strict=True):
        x = spectrum.wavenumbers  # raw spectra have lines of 1 cm^-1: the same bins for both
        known.append(PhononSpectrum(x, raw.on_grid(x), crystal=spectrum.crystal))
    stable = np.array([s.imaginary_fraction < 0.002 for s in known])
    tables = [
        d.descriptor_columns(predicted[0].grid, np.array([s.per_atom().density for s in spectra]))
        for spectra in (predicted, known)
    ]
    print(f"\n{stable.sum()} stable validation crystals, predicted against DFPT")
    print(f"{'':32s}{'median error':>13s}{'mean':>9s}{'mean value':>12s}{'rank corr.':>12s}")
    for name, (unit, _) in d.COLUMNS.items():
        p, y = tables[0][name][stable], tables[1][name][stable]
        good = np.isfinite(p) & np.isfinite(y)
        error = np.abs(p - y)[good]
        rank = np.corrcoef(*(v[good].argsort().argsort() for v in (p, y)))[0, 1]
        print(
            f"{name:32s}{np.median(error):13.3g}{error.mean():9.3g}{y[good].mean():12.3g}"
            f"{rank:12.3f}  {unit}"
        )
    gaps = [t["n_gaps"][stable] > 0 for t in tables]
    print(
        f"with a gap: {gaps[1].sum()} by DFPT, {gaps[0].sum()} predicted, "
        f"{(gaps[0] & gaps[1]).sum()} in both"
    )
    alike = {
        kind: [d.similarity(a, b, kind) for a, b in zip(predicted, known, strict=True)]
        for kind in ("overlap", "cosine", "tanimoto", "wasserstein")
    }
    print("similarity to DFPT, median:", *(f"{k} {np.median(v):.3g}" for k, v in alike.items()))
    for ax, name in zip(
        axes, ("last_peak", "upper_edge", "debye_temperature_heat_capacity"), strict=True
    ):
        p, y = tables[0][name][stable], tables[1][name][stable]
        limit = 1.05 * np.nanmax([p, y])
        ax.plot([0, limit], [0, limit], "k", lw=0.6)
        ax.plot(y, p, "o", ms=2.5, color="#0072B2", alpha=0.7)
        unit = d.COLUMNS[name][0].replace("^-1", "$^{-1}$")
        ax.set(xlim=(0, limit), ylim=(0, limit), xlabel=f"DFPT ({unit})", ylabel="predicted")
        ax.set_title(name.replace("_", " "), fontsize=8)


figure, axes = plt.subplots(1, 4, figsize=(10.0, 2.6), layout="constrained")
one_spectrum(axes[0])
if (DATA / "dfpt_petretto.parquet").is_file():
    against_dfpt(list(axes[1:]))
else:
    for ax in axes[1:]:
        ax.set_axis_off()
figure.savefig(DOCS / "figures" / "descriptors.png", dpi=200)
