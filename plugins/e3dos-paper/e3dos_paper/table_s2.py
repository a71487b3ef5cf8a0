"""The materials of table S2: their heat capacities and spectra (figures 5d, 5e, S15)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_e3dos.data.labelled_set import LabelledSet, read_labelled
from ase_e3dos.data.labels import JARVIS_GRID
from ase_e3dos.errors import DataError
from ase_e3dos.evaluation.metrics import spectrum_errors
from ase_e3dos.evaluation.predictions import Predictions
from ase_e3dos.evaluation.reference import reference_spectra
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.spectrum.grid import Array
from ase_e3dos.structures.crystal import Crystal
from e3dos_paper.known_crystals import KnownCrystal, KnownCrystals, crystal_of
from e3dos_paper.pictures import save_picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Specific heats in J/(kg K) at 293.15 K of the paper's table S2: its network's, and DFPT's over
# the range of the network (0 to 1000 cm^-1) and over all frequencies.
TABLE_S2 = {
    "Li4HN": (2514.9, 2320.2, 2320.06),
    "H4NF": (2396.6, 3117.4, 1578.65),
    "LiC": (2101.0, 2138.8, 1959.36),
    "MgH2": (1897.8, 1908.5, 1324.31),
    "HCN": (1871.5, 2047.2, 1561.42),
    "Li9Al4": (1540.3, 1642.1, 1642.07),
    "Li9S3N": (1508.1, 1498.3, 1498.39),
    "LiBeBO3": (1318.1, 1286.1, 1134.99),
    "LiBO2": (1310.2, 1172.9, 1087.88),
    "Li3Al2": (1307.4, 1431.2, 1431.15),
    "MgC2": (1288.1, 1307.8, 1152.05),
    "LiMgN": (1246.5, 1216.2, 1216.17),
}
TEMPERATURE = 293.15
#: The range of the paper's network in cm^-1.
LIMIT = 1000.0
#: What figure S15 shows in full: the materials with most weight above the range.
BEYOND = ("MgH2", "H4NF", "HCN")
#: HCN of the JARVIS data; the screened polymorph is not at hand.
_OTHER_HCN = "JVASP-78707"
_SCREENED, _JARVIS = "structures_mp.parquet", "dft_jarvis.parquet"
_COLORS = {"default": "#d9731a", "paper": "#3b6fb6"}


@dataclass(frozen=True)
class Material:
    """A material of table S2 with what is known of it here.

    Attributes
    ----------
    formula : str
        As in the table.
    crystal : Crystal
        Of the paper's screening; for HCN another polymorph.
    screened : bool
        Whether the crystal is the one that the paper screened.
    matches : list of KnownCrystal
        Entries of the same structure in the training data of the model beside `paper`, whose own
        1,218 crystals have none of the table's structures.
    reference : tuple of (str, ndarray, ndarray) or None
        What it is, wavenumbers in cm^-1 and density in any scale of a DFT spectrum of a match.
    spectra : dict of str to PhononSpectrum
        Predictions by the model's name.
    """

    formula: str
    crystal: Crystal
    screened: bool
    matches: list[KnownCrystal]
    reference: tuple[str, Array, Array] | None
    spectra: dict[str, PhononSpectrum] = field(default_factory=dict)

    def specific_heats(self, model: str) -> tuple[float, float]:
        """Over 0 to 1000 cm^-1 alone and over all frequencies, in J/(kg K) at 293.15 K."""
        spectrum = self.spectra[model]
        heats = (s.specific_heat(TEMPERATURE) for s in (confined(spectrum), spectrum))
        first, second = (float(heat) for heat in heats)
        return first, second


def confined(spectrum: PhononSpectrum, limit: float = LIMIT) -> PhononSpectrum:
    """The part from zero to a limit in cm^-1 as if it held all modes, as in the paper."""
    inside = (spectrum.wavenumbers >= 0) & (spectrum.wavenumbers <= limit)
    return PhononSpectrum(
        spectrum.wavenumbers[inside], spectrum.density[inside],
        crystal=spectrum.crystal, model=spectrum.model, label_like=spectrum.label_like,
    )  # fmt: skip


def materials(data_dir: Path, known: KnownCrystals) -> list[Material]:
    """The materials of the table whose crystals are in the data.

    Parameters
    ----------
    data_dir : Path
        Folder with structures_mp.parquet, dft_jarvis.parquet and the training files.
    known : KnownCrystals
        What the models were trained on.

    Raises
    ------
    DataError
        The file of the screened crystals is missing.
    """
    found = []
    screened = _rows(data_dir / _SCREENED, [("in_paper_screen", "=", True)])
    by_key = {_amounts(row["formula"]): row for row in screened}
    for formula in TABLE_S2:
        row = by_key.get(_amounts(formula))
        there = row is not None
        if row is None and formula == "HCN" and (data_dir / _JARVIS).is_file():
            row = next(iter(_rows(data_dir / _JARVIS, [("id", "=", _OTHER_HCN)])), None)
        if row is None:
            continue
        crystal = crystal_of(row)
        matches = known.matches(crystal)
        found.append(Material(formula, crystal, there, matches, _reference(matches, data_dir)))
    return found


def figure_5d(found: Sequence[Material], path: str | Path | None = None) -> Figure:
    """Predicted spectra of the materials, with DFT spectra of training entries that match."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    axes = figure.subplots(3, 4, squeeze=False).ravel()
    for ax in axes[len(found) :]:
        ax.set_axis_off()
    for ax, material in zip(axes, found, strict=False):
        _draw(ax, material, LIMIT)
        ax.set_xlim(0, LIMIT)
        outside = max(
            float(s.weight_outside(np.arange(5.0, LIMIT, 10.0))) for s in material.spectra.values()
        )
        if outside > 0.005:
            ax.text(0.98, 0.97, f"{100 * outside:.0f} % of the modes outside", fontsize=6,
                    ha="right", va="top", transform=ax.transAxes)  # fmt: skip
    _legend(figure, axes)
    figure.supxlabel("wavenumber (cm$^{-1}$)", fontsize=8)
    return _written(figure, path)


def figure_5e(found: Sequence[Material], path: str | Path | None = None) -> Figure:
    """Specific heats against the paper's DFPT values, within 1000 cm^-1 and over all."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for k, (ax, title) in enumerate(
        zip(axes, ("0 to 1000 cm$^{-1}$", "all frequencies"), strict=True)
    ):
        for m in found:
            reference = TABLE_S2[m.formula][1 + k]
            ax.plot(reference, TABLE_S2[m.formula][0], "x", color="0.5", ms=4, zorder=1)
            for model in m.spectra:
                if model == "paper" and k == 1:  # it has no others
                    continue
                style: Any = {"color": _COLORS.get(model, "C2"), "ms": 5, "ls": ""}
                seen = m.matches and model != "paper"  # `matches` are the other model's
                style["mfc"] = style["color"] if seen else "white"
                marker = "o" if m.screened else "s"
                ax.plot(reference, m.specific_heats(model)[k], marker, **style)
            if reference > 1450:  # the others are too close to each other
                ax.annotate(m.formula, (reference, TABLE_S2[m.formula][0]), (3, 3),
                            textcoords="offset points", fontsize=6, color="0.4")  # fmt: skip
        ax.axline((1000, 1000), slope=1, color="0.6", linewidth=0.8, zorder=0)
        ax.set_title(title, fontsize=8)
        ax.set_xlabel("the paper's DFPT, J/(kg K)")
    axes[0].set_ylabel("predicted, J/(kg K)")
    models = dict.fromkeys(model for m in found for model in m.spectra)
    for label, marker in {
        **{model: {"marker": "o", "color": _COLORS.get(model, "C2")} for model in models},
        "the paper's own network": {"marker": "x", "color": "0.5"},
        "filled: structure in its training data": {"marker": "o", "color": "0.3"},
        "open: not": {"marker": "o", "color": "0.3", "mfc": "white"},
        "square: another polymorph": {"marker": "s", "color": "0.3", "mfc": "white"},
    }.items():
        style: Any = marker
        axes[0].plot([], [], ls="", ms=4, label=label, **style)
    axes[0].legend(frameon=False, fontsize=6, loc="upper left")
    return _written(figure, path)


def figure_s15(
    found: Sequence[Material], valid: Predictions, path: str | Path | None = None
) -> Figure:
    """Specific heats against those of whole DFT spectra, and three spectra beyond 1000 cm^-1.

    Parameters
    ----------
    found : sequence of Material
        Of table S2; those of `BEYOND` are drawn to their highest frequency.
    valid : Predictions
        For crystals with raw or site-resolved spectra: the histogram.
    path : str or Path, optional
        Image to write; None writes nothing.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.5, 4.6), layout="constrained")
    axes = figure.subplot_mosaic(
        [["h", name] for name in BEYOND], width_ratios=[1, 1.15], empty_sentinel=None
    )
    ax = axes["h"]
    pairs = specific_heat_pairs(valid)
    top = 1.05 * float(pairs.max())
    edges = np.linspace(0, top, 41)
    counts, _, _ = np.histogram2d(pairs[:, 0], pairs[:, 1], [edges, edges])
    shown = np.ma.masked_equal(counts.T, 0)
    mesh = ax.pcolormesh(edges, edges, shown, cmap="viridis_r")
    figure.colorbar(mesh, ax=ax, label="crystals")
    ax.axline((0, 0), slope=1, color="0.5", linewidth=0.8)
    ax.set(xlabel="whole DFPT spectrum, $C_V$ in J/(kg K)", ylabel=f"model {valid.model}")
    ax.set_title(f"{len(pairs)} stable validation crystals", fontsize=8)
    ax.set_aspect("equal")
    for name in BEYOND:
        material = next((m for m in found if m.formula == name), None)
        if material is None:
            axes[name].set_axis_off()
            continue
        _draw(axes[name], material, None)
        axes[name].axvline(LIMIT, color="0.6", linewidth=0.8, linestyle=":")
        axes[name].set_xlim(0, 3600)
    _legend(figure, [axes[n] for n in BEYOND])
    axes[BEYOND[-1]].set_xlabel("wavenumber (cm$^{-1}$)", fontsize=8)
    return _written(figure, path)


def specific_heat_pairs(found: Predictions) -> Array:
    """Specific heats of stable crystals: whole reference, prediction; shape (n, 2), J/(kg K)."""
    pairs = [
        (float(r.specific_heat(TEMPERATURE)), float(p.specific_heat(TEMPERATURE)))
        for r, p in zip(reference_spectra(found.labelled), found.spectra, strict=True)
        if r.imaginary_fraction < 1e-3
    ]
    return np.array(pairs)


def table_text(found: Sequence[Material], model: str = "default") -> str:
    """The table with our predictions, and mean distances with and without known structures."""
    lines = [
        "Specific heats at 293.15 K in J/(kg K); whole: over all frequencies, 1000: over 0 to "
        "1000 cm^-1",
        f"{'':9} {model:>9} {model:>9} {'paper':>7} {'network of':>11} {'DFPT':>7} {'DFPT':>7}  "
        f"structure in the training data of {model} (of paper: none)",
        f"{'':9} {'whole':>9} {'1000':>9} {'1000':>7} {'the paper':>11} {'whole':>7} {'1000':>7}",
    ]
    for m in found:
        network, inside, whole = TABLE_S2[m.formula]
        ours = m.specific_heats(model)
        paper = m.specific_heats("paper")[0]
        said = ", ".join(dict.fromkeys(f"{k.id}" for k in m.matches)) or "no"
        if not m.screened:
            said = f"another polymorph ({said}): not counted"
        lines.append(
            f"{m.formula:9} {ours[1]:9.0f} {ours[0]:9.0f} {paper:7.0f} {network:11.0f} "
            f"{whole:7.0f} {inside:7.0f}  {said}"
        )
    lines += ["", f"mean distance {'':23} {model:>9} {'paper':>7} {'network of the paper':>21}"]
    screened = [m for m in found if m.screened]
    groups = {
        "all": screened,
        f"new to {model}": [m for m in screened if not m.matches],
        f"in the training of {model}": [m for m in screened if m.matches],
    }
    for name, group in groups.items():
        if not group:
            continue
        for k, what in ((1, "1000"), (2, "whole")):
            wanted = np.array([TABLE_S2[m.formula][k] for m in group])
            ours_ = np.array([m.specific_heats(model)[k - 1] for m in group])
            paper_ = np.array([m.specific_heats("paper")[k - 1] for m in group])
            theirs = np.array([TABLE_S2[m.formula][0] for m in group])
            ends = [np.abs(values - wanted).mean() for values in (ours_, paper_, theirs)]
            lines.append(
                f"{name + f' ({len(group)}), {what}':37} {ends[0]:9.0f} {ends[1]:7.0f} "
                f"{ends[2]:21.0f}"
            )
    return "\n".join(lines)


def validation_text(found: Sequence[Predictions], known: Sequence[KnownCrystals]) -> str:
    """Validation errors of models, with and without compositions that their training holds.

    Parameters
    ----------
    found : sequence of Predictions
        One for each model, for the same crystals.
    known : sequence of KnownCrystals
        What each was trained on.
    """
    labelled = found[0].labelled
    lines = [f"The {len(labelled)} validation crystals, without those whose composition is that of",
             "a training entry of the model (in brackets, whose structure is)"]  # fmt: skip
    for one, seen in zip(found, known, strict=True):
        new = np.array([not seen.of_composition(crystal) for crystal in labelled.crystals])
        matched = [
            formula
            for formula, crystal, is_new in zip(
                labelled.formulas, labelled.crystals, new, strict=True
            )
            if not is_new and seen.matches(crystal)
        ]
        grid, predicted, reference = one.on_label_grid()
        without = f"without {(~new).sum()} ({', '.join(matched) or 'none'})"
        for name, rows in (("all", np.ones(len(new), dtype=bool)), (without, new)):
            e = spectrum_errors(predicted[rows], reference[rows], labelled.n_sites[rows], grid)
            lines.append(
                f"  {one.model:8} {name:26} n={e['n']:.0f} R2={e['R2']:.3f} MAE={e['MAE']:.4f} "
                f"wbar={e['wbar']:.1f} within10={e['within10']:.1%}"
            )
    return "\n".join(lines)


def _draw(ax: Any, material: Material, limit: float | None) -> None:
    """Predictions and the reference, each over its maximum within the limit."""
    x = np.arange(0.0, 4000.0, 5.0)
    shown = x <= (limit or 4000.0)
    for model, spectrum in material.spectra.items():
        if limit is None and model == "paper":
            continue
        label = spectrum.as_paper_label(x)
        ax.plot(x[shown], label[shown] / label[shown].max(), color=_COLORS.get(model, "C2"),
                linewidth=1.1, label=model)  # fmt: skip
    if material.reference is not None:
        what, grid, values = material.reference
        inside = grid <= (limit or 4000.0)
        style = "k--" if "PBEsol" in what else "k:"
        ax.plot(
            grid[inside], values[inside] / values[inside].max(), style, linewidth=0.9, label=what
        )
    mark = " (in training)" if material.matches else ""
    title = material.formula + ("" if material.screened else ", another polymorph") + mark
    ax.set_title(title, fontsize=7, pad=2)
    ax.set(yticks=[], ylim=(0, 1.3))
    ax.tick_params(labelsize=7)


def _legend(figure: Figure, axes: Sequence[Any]) -> None:
    named: Mapping[str, Any] = {
        name: handle
        for ax in axes
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        list(named.values()), list(named), loc="outside upper right", ncols=4, fontsize=7,
        frameon=False,
    )  # fmt: skip


def _reference(matches: Sequence[KnownCrystal], data_dir: Path) -> tuple[str, Array, Array] | None:
    """A DFT spectrum of one of the matches: whole ones with PBEsol before sampled ones."""
    x = np.arange(0.0, 4000.0, 5.0)
    for file in ("dft_phonondb.parquet", "dfpt_petretto.parquet"):
        for known in matches:
            if known.file == file:
                labelled = one_entry(data_dir / file, known.id)
                return (
                    "DFT of the match, PBEsol",
                    x,
                    reference_spectra(labelled)[0].as_paper_label(x),
                )
    for known in matches:
        if known.file == _JARVIS:
            labelled = one_entry(data_dir / _JARVIS, known.id)
            assert labelled.label is not None
            return "DFT of the match, OptB88vdW", JARVIS_GRID, labelled.label[0].astype(float)
    return None


def one_entry(path: Path, name: str) -> LabelledSet:
    """One row of a file of labelled crystals; the rest is not read."""
    import pyarrow.parquet as pq

    table = pq.read_table(path, filters=[("id", "=", name)]).slice(0, 1)
    with TemporaryDirectory() as folder:
        part = Path(folder) / path.name
        pq.write_table(table, part)
        return read_labelled(part)


def _rows(path: Path, filters: list[tuple[str, str, Any]]) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq

    if not path.is_file():
        raise DataError(f"{path}: no such file. Give the folder of the data with --data-dir.")
    columns = ["id", "formula", "numbers", "cell", "positions_frac"]
    rows: list[dict[str, Any]] = pq.read_table(path, columns=columns, filters=filters).to_pylist()
    return rows


def _amounts(formula: str) -> frozenset[tuple[str, int]]:
    """What a formula is made of, whatever the order."""
    from ase.formula import Formula

    return frozenset(Formula(formula).reduce()[0].count().items())


def _written(figure: Figure, path: str | Path | None) -> Figure:
    if path is not None:
        save_picture(figure, path)
    return figure
