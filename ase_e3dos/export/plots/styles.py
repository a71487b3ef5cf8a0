"""Colours and styles of figures."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ase_e3dos.errors import SpectrumError

# Okabe and Ito's colours, told apart by colour-blind readers too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: Any = {
    "font.size": 8,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.2,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "svg.fonttype": "none",
}
_LIGHT = "#cfd0d0"
DARK_COLOURS = ("#56B4E9", "#E69F00", "#2BC79A", "#F0A6CF", "#FF8A4C", "#F0E442", "#FFFFFF")
#: Styles by name: what they change of Matplotlib's parameters. Any style that Matplotlib knows
#: ("ggplot", "seaborn-v0_8-paper", a file) goes too.
STYLES: dict[str, Any] = {
    "publication": STYLE,
    # as phonopy draws: larger letters, red first, a frame with ticks inside on all sides
    "phonopy": STYLE
    | {
        "font.size": 10,
        "legend.fontsize": 8,
        "axes.linewidth": 1.0,
        "lines.linewidth": 1.0,
        "axes.prop_cycle": "cycler('color', ['r', 'b', 'g', 'm', 'c', 'y', 'k'])",
    },
    "dark": STYLE
    | {
        "figure.facecolor": "#131416",
        "savefig.facecolor": "#131416",
        "axes.facecolor": "#131416",
        "axes.edgecolor": _LIGHT,
        "axes.labelcolor": _LIGHT,
        "axes.titlecolor": _LIGHT,
        "text.color": _LIGHT,
        "xtick.color": _LIGHT,
        "ytick.color": _LIGHT,
        "axes.prop_cycle": f"cycler('color', {list(DARK_COLOURS)})",
    },
}


def figure_style(name: str | None) -> AbstractContextManager[Any]:
    """Matplotlib's parameters while a figure is drawn; None leaves the user's own.

    Raises
    ------
    SpectrumError
        If neither we nor Matplotlib know the name.
    """
    if name is None:
        return nullcontext()
    import matplotlib as mpl
    import matplotlib.style as mpl_style

    if name in STYLES:
        cycle = {} if "axes.prop_cycle" in STYLES[name] else {"axes.prop_cycle": _our_cycle()}
        return mpl.rc_context(STYLES[name] | cycle)
    try:
        return mpl.rc_context(mpl_style.library[name])
    except KeyError as error:
        known = ", ".join((*STYLES, *mpl_style.available))
        raise SpectrumError(f"There is no style {name!r}. Choose one of {known}.") from error


def _our_cycle() -> Any:
    from matplotlib.rcsetup import cycler

    return cycler(color=COLOURS)


def axes(ax: Any) -> Any:
    """The axes given, or a new figure's."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


#: Names that a legend holds; of more there is said how many.
MOST_NAMED = 24


def legend_above(ax: Any, ncols: int = 2) -> None:
    """A legend above the axes, where it covers no curve."""
    handles, names = capped(*ax.get_legend_handles_labels())
    if handles:
        ax.legend(
            handles,
            names,
            loc="lower left",
            bbox_to_anchor=(0.0, 1.0),
            ncols=min(ncols, len(handles)),
            borderaxespad=0.2,
        )


def capped(handles: Sequence[Any], names: Sequence[str]) -> tuple[list[Any], list[str]]:
    """Entries of a legend, the first `MOST_NAMED` of them, and how many more there are."""
    from matplotlib.lines import Line2D

    left = len(names) - MOST_NAMED
    if left <= 0:
        return list(handles), list(names)
    nothing = Line2D([], [], ls="none")
    return [*handles[:MOST_NAMED], nothing], [*names[:MOST_NAMED], f"and {left} more"]
