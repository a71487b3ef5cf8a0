"""Sites as they were read from a file or an object, before the checks that make a crystal."""

from __future__ import annotations

from typing import Any, NamedTuple

from ase_e3dos.errors import E3DOSWarning

__all__ = ["Remark", "Sites"]


class Remark(NamedTuple):
    """What is to be said about a structure: a warning without the structure's name.

    Attributes
    ----------
    kind : type
        Class of the warning.
    text : str
    """

    kind: type[E3DOSWarning]
    text: str

    def about(self, name: str) -> E3DOSWarning:
        """The warning about the structure of a name.

        Parameters
        ----------
        name : str
            Of the structure.

        Returns
        -------
        E3DOSWarning
            Of the class `kind`.
        """
        return self.kind(f"{name}: {self.text}")


class Sites(NamedTuple):
    """A cell and the species on its sites as they were read: a `Crystal` but for its checks.

    Attributes
    ----------
    cell : array_like, shape (3, 3)
        Å.
    scaled_positions : array_like, shape (n_sites, 3)
    species_site, species_number : array_like, shape (n_species,)
    species_fraction, species_mass : array_like, shape (n_species,), or None
        Masses in amu. None: whole sites, standard masses.
    remarks : tuple of Remark
        What there is to say about reading it.
    """

    cell: Any
    scaled_positions: Any
    species_site: Any
    species_number: Any
    species_fraction: Any = None
    species_mass: Any = None
    remarks: tuple[Remark, ...] = ()
