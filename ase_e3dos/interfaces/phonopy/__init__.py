"""E3DOSPhonopy: stands where a `phonopy.Phonopy` stood, with predicted spectra."""

from __future__ import annotations

from typing import Any

from ase_e3dos.interfaces.phonopy.dos import DosMethods
from ase_e3dos.interfaces.phonopy.thermal import Thermal
from ase_e3dos.interfaces.phonopy.vibrations import Vibrations

__all__ = ["E3DOSPhonopy"]


class E3DOSPhonopy(DosMethods, Thermal, Vibrations):
    """Phonon densities of states and thermal properties in the manner of `phonopy.Phonopy`.

    Nothing is displaced and no forces are needed: the spectrum of phonopy's
    primitive cell is predicted when a result is first asked for. Results are
    per that cell, as the installed phonopy chooses it; units, signatures, files
    and result objects are phonopy's. `run_qha` takes a list of these. Where the
    cell that phonopy chooses makes sites of different species, fractions or
    masses (isotopes) one, the unit cell is kept.

    Parameters
    ----------
    unitcell : ase.Atoms, PhonopyAtoms, pymatgen Structure, Crystal or path
        Å; a PhonopyAtoms in the length unit of `calculator`.
    supercell_matrix : array_like, optional
        A predicted spectrum does not depend on it. Force constants are given in it; by default in
        one that holds all of their reach.
    model : str
        Name of the model. With one of force constants, such as "force-constants", what is made is
        no look-alike but a `phonopy.Phonopy` of the installed phonopy, with its
        `force_constants` and `nac_params` filled: bands, eigenvectors, group velocities, masses,
        files and everything else are phonopy's own. `strict` has no meaning there.
    device : str
        "auto", "cpu", "cuda", ...
    strict : bool
        False passes over, with a warning, what a script with displaced supercells does and sets
        (`generate_displacements`, `dataset`, `forces`, `produce_force_constants`, `nac_params`,
        ...), so that it runs with one line changed; there are no displaced supercells. True
        refuses these steps.
    **options
        Further arguments of the installed `phonopy.Phonopy`: primitive_matrix,
        symprec, is_symmetry, calculator, ...

    Raises
    ------
    CrystalError
        If the cell is not a crystal, or the `primitive_matrix` given makes unlike sites one.
    NotPredictedError
        By everything that a spectrum cannot give: bands, eigenvectors, force constants. Also
        where force constants are asked for in the units of another `calculator` than VASP's.

    Warns
    -----
    SymmetryWarning
        If the unit cell is kept although `primitive_matrix="auto"` was asked for.

    Examples
    --------
    >>> from ase.build import bulk
    >>> phonon = E3DOSPhonopy(bulk("NaCl", "rocksalt", a=5.64))
    >>> len(phonon.primitive)
    2
    """

    def __new__(cls, unitcell: Any = None, *args: Any, **options: Any) -> Any:
        """Itself, or a `phonopy.Phonopy` where the model gives force constants."""
        model = options.get("model", "default")
        if model != "default":
            from ase_e3dos.prediction.force_constants import gives_force_constants

            if gives_force_constants(model, options.get("device", "auto")):
                from ase_e3dos.interfaces.phonopy.force_constants import with_force_constants

                return with_force_constants(unitcell, *args, **options)
        return super().__new__(cls)
