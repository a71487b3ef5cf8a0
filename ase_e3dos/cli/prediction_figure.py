"""The figure of `e3dos predict`: its options, and what draws it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_e3dos.cli.output import write_figure, writing
from ase_e3dos.errors import E3DOSError, SpectrumError, UnreadableFileError

if TYPE_CHECKING:
    from ase_e3dos.export.curves import FrequencyUnit
    from ase_e3dos.export.overlays import Overlay
    from ase_e3dos.export.plots.several import Layout, Panel
    from ase_e3dos.export.thermal_curves import EnergyUnit
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
    panels: list[Panel]
    projection: str
    stacked: bool
    layout: Layout
    overlays: list[Overlay]
    smoothing: float
    style: str
    energy_units: EnergyUnit
    temperatures: list[float]

    def write(self, spectra: list[PhononSpectrum]) -> None:
        """Write the figure of spectra, or nothing without a path."""
        if self.path is None:
            return
        projection: Any = None if self.projection == "none" else self.projection
        if self.path.suffix.lower() in PAGES:
            from ase_e3dos.export.page import write_page

            with writing(self.path, "--plot"):
                write_page(
                    spectra,
                    self.path,
                    units=self.units,
                    projection=projection,
                    energy_units=self.energy_units,
                    overlays=self.overlays,
                )
            return
        from ase_e3dos.export.plots import plot_summary
        from ase_e3dos.export.thermal_curves import drawn_temperatures

        # a range of temperatures is that of the figure, too
        several = len(self.temperatures) > 2 and min(self.temperatures) < max(self.temperatures)
        figure = plot_summary(
            spectra,
            units=self.units,
            temperatures=drawn_temperatures(min(self.temperatures), max(self.temperatures))
            if several
            else None,
            projection=projection,
            stacked=self.stacked,
            panels=self.panels,
            layout=self.layout,
            style=self.style,
            energy_units=self.energy_units,
            smoothing=self.smoothing,
            overlays=self.overlays,
        )
        write_figure(self.path, figure)


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


def overlay_of(path: Path) -> Overlay:
    """Spectrum that ``--with`` names.

    Raises
    ------
    E3DOSError
        If it cannot be read.
    """
    from ase_e3dos.export.overlays import read_overlay

    try:
        return read_overlay(path)
    except UnreadableFileError:
        raise
    except SpectrumError as error:
        raise E3DOSError(
            f"--with {path}: {error} Or name the unit in the file's first line, as in "
            "'# energy (meV), intensity'."
        ) from error
