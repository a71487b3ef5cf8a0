"""Legends above figures: each name once, intervals last."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ase_e3dos.export.plots.spectrum import is_curve
from ase_e3dos.export.plots.styles import capped


class FigureLegend:
    """Entries of all panels of a figure."""

    def __init__(self) -> None:
        self._handles: dict[str, Any] = {}
        self._bands: set[str] = set()
        self._colours: set[tuple[float, ...]] = set()

    def collect(self, ax: Any, bands: Collection[str], only: Collection[str] | None = None) -> None:
        """Take the entries of axes.

        Parameters
        ----------
        ax : matplotlib.axes.Axes
        bands : collection of str
            Names of intervals. Their entries have the colour of the bands if that is one, and are
            grey where curves, and so bands, have several.
        only : collection of str, optional
            Names to take beside them; all if not given.
        """
        from matplotlib.colors import to_rgb
        from matplotlib.patches import Patch

        self._colours |= {to_rgb(line.get_color()) for line in ax.lines if is_curve(line)}
        for handle, name in zip(*ax.get_legend_handles_labels(), strict=True):
            if name in bands:
                self._bands.add(name)
                self._handles.setdefault(name, Patch(fc=handle.get_facecolor()[0], lw=0))
            elif only is None or name in only:
                self._handles.setdefault(name, handle)

    def draw(self, figure: Any, columns: int) -> None:
        """Draw it above all panels, of which there are so many beside each other."""
        if len(self._colours) > 1:
            for name in self._bands:
                self._handles[name].set(color="0.5", alpha=0.35)
        named = [name for name in self._handles if name not in self._bands]
        bands = [name for name in self._handles if name in self._bands]
        entries, names = capped([self._handles[n] for n in named], named)
        entries, names = entries + [self._handles[n] for n in bands], names + bands
        if not names:
            return
        ncols = _columns_that_fit(names, 122 if columns > 1 else 60)
        rows = -(-len(names) // ncols)
        if rows > 2:  # a figure of many grows
            figure.set_figheight(figure.get_figheight() + 0.14 * (rows - 2))
        figure.legend(entries, names, loc="outside upper left", ncols=ncols)


def _columns_that_fit(names: Sequence[str], room: int) -> int:
    """Most columns of a legend whose widest names, with their lines, fit into so many letters."""
    widths = np.array([len(re.sub(r"[${}_]", "", name)) + 7 for name in names])
    for ncols in range(min(len(names), 8), 1, -1):
        if sum(int(column.max()) for column in np.array_split(widths, ncols)) <= room:
            return ncols
    return 1
