"""The figure of `e3dos predict`: its options, and what draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase_e3dos.cli.output import write_figure, writing
from ase_e3dos.errors import E3DOSError, MissingExtraError, MissingUnitError
from ase_e3dos.structures.paths import exists

if TYPE_CHECKING:
    from ase_e3dos.export.curves import FrequencyUnit
    from ase_e3dos.export.overlays import Overlay
    from ase_e3dos.export.plots.summary import Layout
    from ase_e3dos.export.thermal_curves import EnergyUnit, Panel
    from ase_e3dos.phonon_spectrum import PhononSpectrum
    from ase_e3dos.prediction.pipeline import Predictor


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
#: Options that are checked before any work.
_CHECKED = {"projection", "stacked", "panels", "layout", "smoothing", "overlays", "style"}
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
            If an option is unknown, or does not go with the rest.
        """
        if self.path is None:
            return
        options = {n: value for n, value in self._options().items() if n in _CHECKED}
        if self._is_page:
            from ase_e3dos.export.page import check_page

            if find_spec("plotly") is None:
                raise MissingExtraError(
                    f"--plot {self.path}: an interactive page needs plotly: "
                    "pip install 'ase-e3dos[report]'."
                )
            check_page(len(files), **options)
        else:
            from ase_e3dos.export.plots.summary import check_summary

            check_summary(len(files), **options)

    def check_model(self, predictor: Predictor) -> None:
        """Refuse parts of a model that gives no densities of sites, before any work.

        Raises
        ------
        E3DOSError
            If such parts are asked for.
        """
        parts = self.stacked or self.projection not in ("auto", "none")
        if self.path is not None and parts and not predictor.gives_sites:
            raise E3DOSError(
                f"--projection and --stacked need densities of sites, which the model "
                f"{predictor.name!r} does not give. Leave them out, or take a model that does, "
                "such as --model default."
            )

    @property
    def _is_page(self) -> bool:
        return self.path is not None and self.path.suffix.lower() in PAGES

    def write(self, spectra: list[PhononSpectrum]) -> None:
        """Write the figure of spectra, or nothing without a path."""
        if self.path is None:
            return
        options = self._options()
        if self._is_page:
            from ase_e3dos.export.page import write_page

            with writing(self.path, "--plot"):
                write_page(spectra, self.path, **options)
        else:
            from ase_e3dos.export.plots import plot_summary

            write_figure(self.path, plot_summary(spectra, **options))

    def _options(self) -> dict[str, Any]:
        """Options of `plot_summary` and of the page's `figure`."""
        from ase_e3dos.export.thermal_curves import drawn_temperatures

        # a range of temperatures is that of the figure, too
        ends = min(self.temperatures), max(self.temperatures)
        return {
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


def panels_of(text: str) -> list[Panel]:
    """Panels that ``--panels`` names.

    Raises
    ------
    E3DOSError
        If one is unknown, or named twice.
    """
    chosen = [part.strip().lower() for part in text.split(",") if part.strip()]
    if not chosen or not set(chosen) <= set(_PANELS):
        raise E3DOSError(f"--panels {text}: give some of {', '.join(_PANELS)}, with commas.")
    twice = next((part for part in chosen if chosen.count(part) > 1), None)
    if twice is not None:
        raise E3DOSError(f"--panels {text}: names {twice} twice. Give each once.")
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
    known = None
    if colon and not exists(text):
        known = units.get(unit.lower())
        if known is None and exists(path):
            raise E3DOSError(f"--with {text}: {unit!r} is not a unit. Give THz, cm-1 or meV.")
    if known is None:
        path = text
    try:
        return read_overlay(path, known)
    except MissingUnitError as error:
        raise E3DOSError(
            f"--with {path}: the file does not say the unit of its first column, or names several. "
            f"Give it behind a colon, as in --with {path}:meV (THz, cm-1 or meV), or in the file's "
            "first line: # energy (meV), DoS"
        ) from error
    except E3DOSError as error:
        raise E3DOSError(f"--with {error}") from error
