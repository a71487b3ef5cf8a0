"""Labels at the left of grids of panels, which fit into figures of few rows."""

from __future__ import annotations

import re
from typing import Any

#: Between what a label may be broken into lines: after a comma or semicolon, before a unit.
_BREAKS = re.compile(r"(?<=[;,]) | (?=\()| (?=per )")
_MARGIN = 0.06  # inches, above and below


def fit_side_label(figure: Any, label: Any) -> None:
    """Break the common label of the y axes until it fits below the legend; figures grow if need be.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        With all panels and legends, whose layout need not be known yet.
    label : matplotlib.text.Text
        What `figure.supylabel` returned.
    """
    above = sum(legend.get_window_extent().height for legend in figure.legends)
    margin = _MARGIN * figure.dpi

    def room() -> float:
        return float(figure.bbox.height - above - 2 * margin)

    def length() -> float:
        return float(label.get_window_extent().height)

    if length() > room():
        lines = []
        for line in label.get_text().split("\n"):
            first, *others = _BREAKS.split(line)
            lines.append(first)
            for piece in others:
                label.set_text(f"{lines[-1]} {piece}")
                if length() <= room():
                    lines[-1] += f" {piece}"
                else:
                    lines.append(piece)
        label.set(text="\n".join(lines), multialignment="center")
    if length() > room():
        missing = (length() - room()) / figure.dpi
        figure.set_figheight(figure.get_figheight() + missing)
    height = figure.bbox.height
    if length() / 2 + margin > height / 2 - above:  # in the middle it would reach the legend
        label.set_y((room() / 2 + margin) / height)
