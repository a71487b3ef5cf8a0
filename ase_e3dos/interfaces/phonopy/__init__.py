"""E3DOSPhonopy: stands where a `phonopy.Phonopy` stood, with predicted spectra."""

from __future__ import annotations

from ase_e3dos.interfaces.phonopy.densities import Densities
from ase_e3dos.interfaces.phonopy.thermal import Thermal
from ase_e3dos.interfaces.phonopy.vibrations import Vibrations

__all__ = ["E3DOSPhonopy"]


class E3DOSPhonopy(Densities, Thermal, Vibrations):
    """Phonon densities of states and thermal properties in the manner of `phonopy.Phonopy`.

    Nothing is displaced and no forces are needed: the spectrum of phonopy's
    primitive cell is predicted when a result is first asked for. Results are
    per that cell, as the installed phonopy chooses it; units, signatures, files
    and result objects are phonopy's. `run_qha` takes a list of these.

    Parameters
    ----------
    unitcell : ase.Atoms, PhonopyAtoms, pymatgen Structure, Crystal or path
        Å; a PhonopyAtoms in the length unit of `calculator`.
    supercell_matrix : array_like, optional
        Accepted; a predicted spectrum does not depend on it.
    model : str
        Name of the model.
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
        If the cell is not a crystal.
    NotPredictedError
        By everything that a spectrum cannot give: bands, eigenvectors, force constants.

    Examples
    --------
    >>> from ase.build import bulk
    >>> phonon = E3DOSPhonopy(bulk("NaCl", "rocksalt", a=5.64))
    >>> len(phonon.primitive)
    2
    """
