"""Constants in the units of this package: kJ/mol, J/(K mol), K, bar, Å^3."""

from __future__ import annotations

from scipy.constants import Avogadro, R, elementary_charge

#: J/(K mol).
GAS_CONSTANT = float(R)
#: kJ/mol in an eV a particle.
EV = float(elementary_charge * Avogadro / 1000.0)
#: m^3/mol in an Å^3 a particle.
CUBIC_ANGSTROM = float(Avogadro * 1e-30)
#: K, to which tables refer.
ROOM = 298.15
