"""Places of the elements in the periodic table, for figures."""

from __future__ import annotations

#: Rows of the long form, blanks as "."; the f elements stand in two rows below.
_ROWS = (
    "H . . . . . . . . . . . . . . . . He",
    "Li Be . . . . . . . . . . B C N O F Ne",
    "Na Mg . . . . . . . . . . Al Si P S Cl Ar",
    "K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr",
    "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe",
    "Cs Ba . Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn",
    "Fr Ra . Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og",
    ". . . . . . . . . . . . . . . . . .",
    ". . La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu .",
    ". . Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr .",
)

#: Symbol -> (row, column), from (0, 0) for H; the empty row 7 sets the f elements apart.
PLACES: dict[str, tuple[int, int]] = {
    symbol: (row, column)
    for row, line in enumerate(_ROWS)
    for column, symbol in enumerate(line.split())
    if symbol != "."
}
