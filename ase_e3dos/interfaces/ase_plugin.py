"""Entry point module of ASE's experimental plug-in group ``ase.plugins``.

ASE loads it unguarded and may change its interface, so that importing this module never raises
and loads neither torch nor the calculator.
"""

from __future__ import annotations

from typing import Any

__all__ = ["__ase_plugins__"]

__ase_plugins__: Any = set()

try:
    from ase._4.plugins.plugin import CalculatorPlugin

    __ase_plugins__ = {
        CalculatorPlugin(
            name="e3dos",
            citation="Z. Chen et al., Adv. Sci. 8, 2004214 (2021), doi:10.1002/advs.202004214",
            implementation="ase_e3dos.interfaces.calculator.E3DOSPredictor",
        )
    }
except Exception:  # noqa: BLE001 - an older ASE without it, or a newer one with another interface
    __ase_plugins__ = set()
