"""Names of lines on axes of the user's: those that we gave are told apart as more are drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from ase_e3dos.export.names import formula_in_mathtext, told_apart
from ase_e3dos.spectrum.density_of_states import DensityOfStates


@dataclass(frozen=True)
class _Named:
    """Of what a line is, and the label that we gave it."""

    formula: str
    source: str
    suffix: str  # what the label says behind the name, such as "(not smoothed)"
    label: str


_NAMED: WeakKeyDictionary[Any, _Named] = WeakKeyDictionary()


def tell_apart(ax: Any, line: Any, spectrum: DensityOfStates, name: str) -> None:
    """Rename a line, and earlier ones of the axes, where their formulas repeat.

    Labels that the user gave or changed stay.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    line : matplotlib.lines.Line2D
        The newest, whose label begins with `name`.
    spectrum : DensityOfStates
        Of which it is.
    name : str
        What it is called so far, as it is before Matplotlib sets it.
    """
    crystal, label = spectrum.crystal, line.get_label()
    suffix = label.removeprefix(formula_in_mathtext(name))
    _NAMED[line] = _Named(crystal.formula, crystal.name, suffix, label)
    there = {other: _NAMED[other] for other in ax.lines if other in _NAMED}
    ours = {other: named for other, named in there.items() if other.get_label() == named.label}
    names = told_apart([n.formula for n in ours.values()], [n.source for n in ours.values()])
    for (other, named), apart in zip(ours.items(), names, strict=True):
        new = formula_in_mathtext(apart) + named.suffix
        other.set_label(new)
        _NAMED[other] = _Named(named.formula, named.source, named.suffix, new)
