"""The figure of `e3dos predict`: its options, and what draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_e3dos.cli.output import write_figure, writing
from ase_e3dos.errors import E3DOSError, MissingExtraError, SpectrumError

if TYPE_CHECKING:
    from ase_e3dos.export.curves import FrequencyUnit
    from ase_e3dos.export.overlays import Overlay
    from ase_e3dos.export.plots.several import Layout
    from ase_e3dos.export.thermal_curves import EnergyUnit, Panel
    from ase_e3dos.phonon_spectrum import PhononSpectrum


class ProjectionKind(StrEnum):
    """What a density of states is divided into."""

    AUTO = "auto"
    ELEMENT = "element"
    SITE = "site"
    SPECIES = "species"
    NONE = "none"


class FigureLayout(StrEnum):
    """How several spectra stand in a figure."""

    AUTO = "auto"
    OVERLAY = "overlay"
    WATERFALL = "waterfall"
    GRID = "grid"


class EnergyUnits(StrEnum):
    """Units of energies in figures."""

    KJ = "kJ/mol"
    MEV = "meV"
    EV = "eV"
    KB = "kB"


#: Endings of interactive pages.
PAGES = (".html", ".htm")
_PANELS: dict[str, Panel] = {
    "dos": "dos",
    "cv": "heat_capacity",
    "s": "entropy",
    "f": "free_energy",
    "u": "internal_energy",
}


@dataclass(frozen=True)
class Drawing:
    """The figure that the options ask for."""

    path: Path | None
    units: FrequencyUnit
    panels: list[Panel] | None
    projection: str
    stacked: bool
    layout: Layout
    overlays: list[Overlay]
    smoothing: float
    style: str
    energy_units: EnergyUnit
    temperatures: list[float]

    def check(self, files: Sequence[Path]) -> None:
        """Refuse what cannot be drawn of the files, before any work.

        Raises
        ------
        E3DOSError
            If a style or a layout is unknown, or does not go with the rest.
        """
        if self.path is None:
            return
        if self._is_page:
            from ase_e3dos.export.page import check_page

            if find_spec("plotly") is None:
                raise MissingExtraError(
                    f"--plot {self.path}: an interactive page needs plotly: "
                    "pip install 'ase-e3dos[report]'."
                )
            check_page(style=self.style, layout=self.layout)
        else:
            from ase_e3dos.export.plots.styles import figure_style

            figure_style(self.style)
        if self.layout == "waterfall":
            from ase_e3dos.export.overlays import refuse_overlays

            refuse_overlays(len(files), self.overlays)

    @property
    def _is_page(self) -> bool:
        return self.path is not None and self.path.suffix.lower() in PAGES

    def write(self, spectra: list[PhononSpectrum]) -> None:
        """Write the figure of spectra, or nothing without a path."""
        if self.path is None:
            return
        from ase_e3dos.export.thermal_curves import drawn_temperatures

        # a range of temperatures is that of the figure, too
        ends = min(self.temperatures), max(self.temperatures)
        options: Any = {
            "units": self.units,
            "temperatures": drawn_temperatures(*ends)
            if len(self.temperatures) > 2 and ends[0] < ends[1]
            else None,
            "projection": None if self.projection == "none" else self.projection,
            "stacked": self.stacked,
            "layout": self.layout,
            "style": self.style,
            "energy_units": self.energy_units,
            "smoothing": self.smoothing,
            "overlays": self.overlays,
        } | ({} if self.panels is None else {"panels": self.panels})
        if self._is_page:
            from ase_e3dos.export.page import write_page

            with writing(self.path, "--plot"):
                write_page(spectra, self.path, **options)
        else:
            from ase_e3dos.export.plots import plot_summary

            write_figure(self.path, plot_summary(spectra, **options))


def panels_of(text: str) -> list[Panel]:
    """Panels that ``--panels`` names.

    Raises
    ------
    E3DOSError
        If one is unknown.
    """
    chosen = [part.strip().lower() for part in text.split(",") if part.strip()]
    if not chosen or not set(chosen) <= set(_PANELS):
        raise E3DOSError(f"--panels {text}: give some of {', '.join(_PANELS)}, with commas.")
    return [_PANELS[part] for part in chosen]


def overlay_of(text: str) -> Overlay:
    """Spectrum that ``--with`` names: a file, and its unit after a colon where the file has none.

    Raises
    ------
    E3DOSError
        If it cannot be read.
    """
    from ase_e3dos.export.overlays import read_overlay

    path, colon, unit = text.rpartition(":")
    units: dict[str, FrequencyUnit] = {"thz": "THz", "cm-1": "cm-1", "mev": "meV"}
    known = units.get(unit.lower()) if colon and not Path(text).exists() else None
    path = text if known is None else path
    try:
        return read_overlay(path, known)
    except SpectrumError as error:
        reason = str(error).replace("Say --units meV, THz or cm-1 (unit= in Python).", "")
        raise E3DOSError(
            f"--with {text}: {reason.strip()} Say the unit of its first column behind a colon, as "
            f"in --with {path}:meV (or THz, cm-1), or in its first line: '# energy (meV), DoS'."
        ) from error
