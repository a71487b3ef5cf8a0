"""Notes in the corner of axes, and room for them above the curves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

_GREY = "0.45"
#: Share of the height of axes that stays for curves, however much there is to say.
_LEAST = 0.4


def write_notes(ax: Any, lines: Sequence[str], colours: Sequence[Any] = ()) -> list[Any]:
    """Write lines of small letters into the upper right corner of axes.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    lines : sequence of str
    colours : sequence
        Of the last lines; the others are grey.

    Returns
    -------
    list of matplotlib.text.Annotation
        To be given to `make_room`.
    """
    from matplotlib.font_manager import FontProperties

    spacing = 1.27 * FontProperties(size="small").get_size_in_points()
    grey = [_GREY] * (len(lines) - len(colours))
    return [
        ax.annotate(
            line,
            (0.97, 0.96),
            (0.0, -spacing * k),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize="small",
            color=colour,
        )
        for k, (line, colour) in enumerate(zip(lines, [*grey, *colours], strict=True))
    ]


def make_room(ax: Any, notes: Sequence[Any]) -> None:
    """Raise the upper limit of axes until no curve or band lies under the notes.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Of a figure that has its layout. A limit that the user has set stays.
    notes : sequence of matplotlib.text.Annotation
    """
    from matplotlib.transforms import Bbox

    if not notes or not ax.get_autoscaley_on():
        return
    box = Bbox.union([note.get_window_extent() for note in notes])
    box = box.transformed(ax.transAxes.inverted())
    left, right = ax.get_xlim()
    bottom, top = ax.get_ylim()
    start = left + box.x0 * (right - left)
    highest = bottom
    for vertices in _drawn(ax):
        under = vertices[(vertices[:, 0] >= start) & (vertices[:, 0] <= right), 1]
        highest = max(highest, float(under.max(initial=bottom)))
    share = max(box.y0 - 0.02, _LEAST)
    if highest > bottom + share * (top - bottom):
        ax.set_ylim(bottom, bottom + (highest - bottom) / share, auto=None)


def _drawn(ax: Any) -> list[Any]:
    """Points of curves and areas in units of the axes, each an array of shape (n, 2)."""
    lines = [line for line in ax.lines if line.get_transform().contains_branch(ax.transData)]
    areas = [path for c in ax.collections for path in c.get_paths()]
    return [
        *(np.asarray(line.get_xydata()) for line in lines if len(line.get_xdata()) > 2),
        *(np.asarray(path.vertices) for path in areas),
    ]
