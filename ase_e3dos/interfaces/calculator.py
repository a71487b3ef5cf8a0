"""E3DOSPredictor: the calculator that ASE users attach to their atoms."""

from __future__ import annotations

import copy
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ase.calculators.calculator import (
    Calculator,
    all_changes,
    equal,
    register_calculator_class,
)
from ase.outputs import Properties

from ase_e3dos.errors import E3DOSError, NotPredictedError
from ase_e3dos.interfaces.attached_atoms import AttachedAtoms
from ase_e3dos.interfaces.stored_results import (
    UNITS,
    results_of,
    store_in_info,
    stored_values,
    write_row,
)
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.potentials.choice import calculator_name, check_calculator
from ase_e3dos.potentials.relaxation import FORCE, check_force
from ase_e3dos.prediction.notices import warn_about
from ase_e3dos.prediction.pipeline import load_predictor
from ase_e3dos.prediction.relaxed import stream
from ase_e3dos.spectrum.thermal import checked_temperatures
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.structures.moments import has_moments

if TYPE_CHECKING:
    from ase import Atoms

__all__ = ["E3DOSPredictor"]


class E3DOSPredictor(Calculator):
    """ASE calculator of phonon densities of states and vibrational thermal properties.

    Parameters
    ----------
    model : str, optional
        Name of a registered model (``e3dos models`` lists them) or path of a weights file.
    device : str, optional
        "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:1".
    encoder : str, optional
        Name of an encoder; by default the model's own, or its alloy form for mixed sites.
    temperature : float, optional
        Temperature in K of the scalar thermal properties.
    uncertainty : bool, optional
        Give error bars. False leaves them out: no other values and no less time with `default`,
        whose members are heads of one network; of an ensemble of networks (`jarvis`) one answers,
        several times faster, with slightly other values, and without warnings that members
        disagree.
    relax : str or ase.calculators.calculator.Calculator, optional
        Relax a copy of the atoms (positions and cell) before each prediction, with a calculator
        or one of a name that ``e3dos plugins`` lists. Results are then of the relaxed cell,
        which `get_relaxed_atoms` returns; the atoms themselves are not moved.
    fmax : float, optional
        Largest force after that relaxation, eV/Å.
    atoms : ase.Atoms, optional
        Atoms to attach the calculator to.
    restart, label, directory : optional
        Taken as by every ASE calculator; nothing is read from or written to them.

    Raises
    ------
    UnknownModelError
        No model of this name is installed.
    PotentialError
        There is no calculator of the name that `relax` gives, or `fmax` is not a positive number.
    SpectrumError
        The temperature is negative or not finite.

    Notes
    -----
    Results belong to the cell of the atoms, whatever its size. Prediction follows ASE's rules:
    asking again costs nothing, and a change of positions, cell, elements, masses or occupations
    (``atoms.info["occupancy"]``) makes a new one. One calculator may serve many atoms, from
    several threads; then pass the atoms to the methods.

    Properties for `get_property`: ``phonon_dos`` (states/THz, at ``phonon_frequencies`` in THz =
    ``phonon_wavenumbers`` in cm^-1), ``mean_wavenumber`` (cm^-1), ``imaginary_fraction``,
    ``heat_capacity`` and ``entropy`` (J/(K mol)), ``free_energy_vib`` (kJ/mol), all per cell.
    Energies, forces and stresses are not predicted: they raise ASE's
    PropertyNotImplementedError.

    Examples
    --------
    >>> from ase.build import bulk
    >>> atoms = bulk("NaCl", "rocksalt", a=5.64)
    >>> atoms.calc = E3DOSPredictor()
    >>> atoms.calc.get_phonon_dos().n_modes
    6.0
    """

    implemented_properties = list(UNITS)  # noqa: RUF012 - ASE's interface
    default_parameters = {  # noqa: RUF012 - ASE's interface
        "model": "default",
        "device": "auto",
        "encoder": None,
        "temperature": 300.0,
        "uncertainty": True,
        "relax": None,
        "fmax": FORCE,
    }
    # Charges and moments do not enter the networks; that there are moments is warned of.
    ignored_changes = {"initial_charges", "initial_magmoms"}  # noqa: RUF012 - ASE's interface
    discard_results_on_any_change = True

    def __init__(
        self,
        model: str = "default",
        device: str = "auto",
        encoder: str | None = None,
        temperature: float = 300.0,
        uncertainty: bool = True,
        *,
        relax: str | Calculator | None = None,
        fmax: float = FORCE,
        atoms: Atoms | None = None,
        restart: str | None = None,
        label: str | None = None,
        directory: Any = ".",
    ) -> None:
        self._lock = threading.RLock()
        self._spectrum: PhononSpectrum | None = None
        self._attached = AttachedAtoms()
        self._forces: str | Calculator | None = None
        super().__init__(
            restart=restart,
            label=label,
            atoms=atoms,
            directory=directory,
            model=model,
            device=device,
            encoder=encoder,
            temperature=temperature,
            uncertainty=uncertainty,
            relax=relax,
            fmax=fmax,
        )

    # ---- predictions --------------------------------------------------------------------------

    def get_phonon_dos(self, atoms: Atoms | None = None) -> PhononSpectrum:
        """Spectrum of the attached atoms, or of those given.

        Parameters
        ----------
        atoms : ase.Atoms, optional
            Needed where the calculator serves several Atoms objects.

        Returns
        -------
        PhononSpectrum
            Of the cell of the atoms.

        Raises
        ------
        E3DOSError
            The atoms cannot be predicted; the message says why.
        """
        with self._lock:
            self.get_property("phonon_dos", atoms)
            assert self._spectrum is not None
            return self._spectrum

    def get_relaxed_atoms(self, atoms: Atoms | None = None) -> Atoms:
        """Atoms of the crystal that the spectrum is of: relaxed, where `relax` is set.

        Parameters
        ----------
        atoms : ase.Atoms, optional
            As for `get_phonon_dos`.

        Returns
        -------
        ase.Atoms
        """
        return self.get_phonon_dos(atoms).crystal.to_atoms()

    def get_total_dos(self, atoms: Atoms | None = None) -> Any:
        """`phonopy.phonon.dos.TotalDos` of the cell, in THz and states/THz."""
        return self.get_phonon_dos(atoms).to_phonopy()

    def get_thermal_properties(
        self,
        t_min: float = 0.0,
        t_max: float = 1000.0,
        t_step: float = 10.0,
        temperatures: Any = None,
        atoms: Atoms | None = None,
        **options: Any,
    ) -> Any:
        """Thermal properties of the cell as phonopy's object.

        Parameters
        ----------
        t_min, t_max, t_step : float
            Temperatures in K.
        temperatures : array_like, optional
            Temperatures in K instead.
        atoms : ase.Atoms, optional
            As for `get_phonon_dos`.
        **options
            Of `Phonopy.run_thermal_properties`, such as `cutoff_frequency` or `pretend_real`.

        Returns
        -------
        phonopy.phonon.thermal_properties.ThermalProperties
            `free_energy` in kJ/mol, `entropy` and `heat_capacity` in J/(K mol), per cell.
        """
        return self.get_phonon_dos(atoms).thermal_properties(
            t_min=t_min, t_max=t_max, t_step=t_step, temperatures=temperatures, **options
        )

    def store(
        self, atoms: Atoms | None = None, db: Any = None, **key_value_pairs: Any
    ) -> int | None:
        """Keep the results with the atoms, where ASE's writers find them.

        Writers of ASE drop results that they do not know. Stored in ``atoms.info`` they
        survive extxyz and traj files; a database drops ``info``, so that with `db` a row is
        written: scalars as key-value pairs to select by, arrays as data.

        Parameters
        ----------
        atoms : ase.Atoms, optional
            As for `get_phonon_dos`.
        db : ase.db database, optional
            Where to write a row.
        **key_value_pairs
            More of them for the row.

        Returns
        -------
        int or None
            The row's id, with `db`.

        Raises
        ------
        E3DOSError
            For key-value pairs without a database.
        CrystalError
            If the atoms are not a crystal.
        """
        with self._lock:
            atoms = self._resolved(atoms)
            spectrum = self.get_phonon_dos(atoms)
            results, temperature = dict(self.results), float(self.parameters["temperature"])
        found = stored_values(spectrum, results, temperature)
        if db is not None:
            return write_row(db, atoms, found, key_value_pairs)
        if key_value_pairs:
            raise E3DOSError(
                f"{', '.join(key_value_pairs)}: key-value pairs belong to a row of a database. "
                "Give db=..., or write to atoms.info yourself."
            )
        store_in_info(atoms, found)
        return None

    # ---- ASE's interface ----------------------------------------------------------------------

    def get_property(
        self, name: str, atoms: Atoms | None = None, allow_calculation: bool = True
    ) -> Any:
        """Value of a property; arrays are copies.

        Parameters
        ----------
        name : str
            One of `implemented_properties`.
        atoms : ase.Atoms, optional
            Those of the last prediction if not given.
        allow_calculation : bool
            Whether to predict what is not there yet; else None is returned.

        Returns
        -------
        float, ndarray or None
            In the unit that the class names for it.

        Raises
        ------
        NotPredictedError
            The property is not among `implemented_properties`; also a
            PropertyNotImplementedError of ASE.
        """
        if name not in self.implemented_properties:
            raise _not_predicted(name)
        with self._lock:
            return super().get_property(name, self._resolved(atoms), allow_calculation)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Any = ("phonon_dos",),
        system_changes: Any = all_changes,
    ) -> None:
        """Predict and fill `results`; nothing is written to `directory`."""
        with self._lock:
            atoms = self._resolved(atoms)
            p = self.parameters
            predictor = load_predictor(p["model"], p["device"], p["encoder"])
            crystal = Crystal.quietly(atoms)
            if self._forces is None:
                spectrum = predictor.spectra([crystal], p["uncertainty"])[0]
            else:
                fmax = float(p["fmax"])
                (found,) = stream(predictor, [crystal], p["uncertainty"], self._forces, fmax)
                if isinstance(found, E3DOSError):
                    raise found
                spectrum = found
            self.atoms = atoms.copy()
            if "occupancy" in atoms.info:  # atoms.copy shares it, and it may be changed in place
                self.atoms.info["occupancy"] = copy.deepcopy(atoms.info["occupancy"])
            self._spectrum = spectrum
            self.results = results_of(spectrum, float(p["temperature"]))
        warn_about(spectrum, stacklevel=5)

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """Changes since the last prediction, masses and occupations among them.

        Parameters
        ----------
        atoms : ase.Atoms
        tol : float
            Å; of cell and positions.

        Returns
        -------
        list of str
            Names of what changed, as ASE has them.
        """
        changes = list(super().check_state(atoms, tol=tol))
        if self.atoms is None:
            return changes
        if not equal(self.atoms.get_masses(), atoms.get_masses()):
            changes.append("masses")
        if not _same_occupancy(self.atoms, atoms):
            changes.append("occupancy")
        if has_moments(self.atoms) != has_moments(atoms):  # of which there is a warning
            changes.append("initial_magmoms")
        return changes

    def set(self, **kwargs: Any) -> dict[str, Any]:
        """Change parameters; results that they made are discarded.

        Parameters
        ----------
        **kwargs
            As for the class.

        Returns
        -------
        dict
            Those that changed, with their values.

        Raises
        ------
        E3DOSError
            A parameter is unknown or not valid.
        """
        unknown = set(kwargs) - set(self.default_parameters) - {"parameters"}
        if unknown:
            raise E3DOSError(
                f"E3DOSPredictor has no parameter {', '.join(sorted(unknown))}. There are: "
                f"{', '.join(self.default_parameters)}."
            )
        if "temperature" in kwargs:
            kwargs["temperature"] = float(checked_temperatures(kwargs["temperature"])[0])
        if "fmax" in kwargs:
            check_force(kwargs["fmax"])
        if "relax" in kwargs:
            if kwargs["relax"] is not None:
                check_calculator(kwargs["relax"])
            self._forces = kwargs["relax"]
            # Parameters are plain values; the calculator itself is kept beside them.
            kwargs["relax"] = None if self._forces is None else calculator_name(self._forces)
        if "model" in kwargs:
            from ase_e3dos.plugins import get_registry

            kwargs["model"] = str(kwargs["model"])
            get_registry().resolve_model(kwargs["model"])
        return dict(super().set(**kwargs))

    def reset(self) -> None:
        """Forget the last prediction."""
        super().reset()
        self._spectrum = None

    def set_atoms(self, atoms: Atoms) -> None:
        """Note the atoms that the calculator is attached to; ASE calls this.

        Parameters
        ----------
        atoms : ase.Atoms
        """
        self._attached.add(atoms)

    def export_properties(self) -> Properties:
        """None of ours: ASE's containers know no spectra, and would refuse them."""
        return Properties({})

    def band_structure(self) -> Any:
        """Refuse: bands are those of ``E3DOSPhonopy(atoms, model="force-constants")``.

        Raises
        ------
        NotPredictedError
            Always.
        """
        raise _not_predicted("band_structure")

    def _get_name(self) -> str:
        return "e3dos"

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.todict().items())
        return f"E3DOSPredictor({given})"

    # ---- pickling: parameters and results travel, weights are loaded again on the other side --

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_lock"]
        state["_attached"] = self._attached.of(self)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.RLock()
        self._attached = AttachedAtoms(state["_attached"])

    # ---- which atoms --------------------------------------------------------------------------

    def _resolved(self, atoms: Atoms | None) -> Atoms:
        """Those given, else the ones attached last, else those of the last prediction."""
        found = atoms if atoms is not None else self._attached.latest(self)
        if found is None:
            found = self.atoms
        if found is None:
            raise E3DOSError(
                "the calculator has no atoms. Attach it with atoms.calc = E3DOSPredictor(), or "
                "pass the atoms: calc.get_phonon_dos(atoms)."
            )
        return found


def _same_occupancy(one: Atoms, other: Atoms) -> bool:
    if one.info.get("occupancy") != other.info.get("occupancy"):
        return False
    if "occupancy" not in one.info:
        return True
    kinds = [a.arrays.get("spacegroup_kinds") for a in (one, other)]
    return bool(equal(*kinds))


def _not_predicted(name: str) -> NotPredictedError:
    bands = (
        'E3DOSPhonopy(atoms, model="force-constants") of ase_e3dos, which predicts force constants '
        "and has bands, eigenvectors and displacements"
    )
    if name == "band_structure":
        hint = f"Use {bands}, or phonopy with a potential or DFT."
    else:
        hint = (
            "Use a second calculator (a potential or DFT) for these. For bands of phonons take "
            f"{bands}, or phonopy with that calculator."
        )
    return NotPredictedError(
        f"{name} is not predicted: E3DOSPredictor gives spectra and what follows from them "
        f"({', '.join(UNITS)}), no energies, forces, stresses or bands. {hint}"
    )


def _register() -> None:
    """Make ``get_calculator_class("e3dos")`` work; harmless if it does already."""
    from ase.calculators import calculator

    if "e3dos" not in calculator.external_calculators:
        register_calculator_class("e3dos", E3DOSPredictor)


with suppress(Exception):  # an ASE that registers in another way
    _register()
