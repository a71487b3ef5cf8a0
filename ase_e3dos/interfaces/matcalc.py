"""Property calculators for matcalc: its `PhononCalc` and `QHACalc` with predicted spectra."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_e3dos.errors import (
    CrystalError,
    E3DOSError,
    ImaginaryModesError,
    ImaginaryWeightWarning,
    MissingExtraError,
    NotPredictedError,
)
from ase_e3dos.spectrum.thermal import IMAGINARY_TOLERANCE

if TYPE_CHECKING:
    from ase_e3dos.interfaces.phonopy import E3DOSPhonopy

    class PropCalc:
        """matcalc's base class, of which only the name matters here."""

    class QHACalc(PropCalc):
        """matcalc's quasi-harmonic calculator, as far as it is used here."""

        phonon_calc_kwargs: dict[str, Any] | None
        t_min: float
        t_max: float
        t_step: float
        imaginary_freq_tol: float
        on_imaginary_modes: str
        fix_imaginary_attempts: int

else:
    try:
        PropCalc, QHACalc = (getattr(import_module("matcalc"), k) for k in ("PropCalc", "QHACalc"))
    except ImportError:  # the first class below works without it, and as a PropCalc with it
        PropCalc = QHACalc = object

__all__ = ["E3DOSPhononCalc", "E3DOSQHACalc"]

#: Arguments of matcalc's `PhononCalc` (0.7) about displacements, which there are not.
IGNORED = frozenset({"atom_disp", "min_length", "rattle_method", "rattle_stdev",
                     "rattle_temperature", "seed"})  # fmt: skip

#: Its arguments that ask for what a spectrum cannot give, unless they are false.
REFUSED = {
    "fix_imaginary_attempts": "no modes to follow: relax rattled structures yourself",
    "write_band_structure": "no bands",
    "write_force_constants": "no force constants",
}

_UNITS = {
    "thermal_properties.temperatures": "K",
    "thermal_properties.free_energy": "kJ/mol",
    "thermal_properties.entropy": "J/(K*mol)",
    "thermal_properties.heat_capacity": "J/(K*mol)",
    "frequencies": "THz",
}


class E3DOSPhononCalc(PropCalc):
    """Thermal properties of predicted spectra as matcalc's `PhononCalc` returns them.

    Parameters
    ----------
    calculator : ase calculator or str, optional
        Relaxes the structures, as in `PhononCalc`; without one they are taken as they are.
    t_step, t_max, t_min : float
        Temperatures in K.
    relax_structure : bool, optional
        Whether to relax first; by default where there is a calculator.
    fmax, max_steps, optimizer, relax_calc_kwargs
        Of that relaxation, as in `PhononCalc`.
    imaginary_freq_tol : float
        THz; modes below count as imaginary.
    on_imaginary_modes : {"warn", "error"}
        What to do where more of the modes are imaginary than a spectrum's noise (0.2 %).
    supercell_matrix, symprec
        Of phonopy's cells; a predicted spectrum does not depend on them.
    write_total_dos, write_phonon : bool, str or Path
        Files to write, True for matcalc's names (``total_dos.dat``, ``phonon.yaml``: the cells).
        Other than in `PhononCalc` none is written unless it is asked for.
    model, device : str
        As for `ase_e3dos.predict`.
    **options
        Further arguments of matcalc's `PhononCalc`. Those about displacements (`IGNORED`) have
        no effect.

    Raises
    ------
    TypeError
        If an argument is unknown.
    NotPredictedError
        If bands, force constants or repaired modes are asked for (`REFUSED`).
    E3DOSError
        If structures are to be relaxed without a calculator, or a choice is unknown.

    Notes
    -----
    As in `PhononCalc`, values are per the cell given, whether primitive or not.
    """

    def __init__(
        self,
        calculator: Any = None,
        *,
        t_step: float = 10,
        t_max: float = 1000,
        t_min: float = 0,
        relax_structure: bool | None = None,
        fmax: float = 1e-5,
        max_steps: int = 5000,
        optimizer: Any = "FIRE",
        relax_calc_kwargs: dict[str, Any] | None = None,
        imaginary_freq_tol: float = -0.01,
        on_imaginary_modes: str = "warn",
        supercell_matrix: Any = None,
        symprec: float = 1e-5,
        write_total_dos: bool | str | Path = False,
        write_phonon: bool | str | Path = False,
        model: str = "default",
        device: str = "auto",
        **options: Any,
    ) -> None:
        unknown = options.keys() - IGNORED - REFUSED.keys()
        if unknown:
            raise TypeError(
                f"E3DOSPhononCalc has no argument {', '.join(sorted(unknown))}, nor has matcalc's "
                "PhononCalc. Check the spelling."
            )
        for name in REFUSED.keys() & options.keys():
            if options[name]:
                raise NotPredictedError(
                    f"{name}={options[name]!r}: a predicted spectrum has {REFUSED[name]}. Leave it "
                    "out, or use matcalc's PhononCalc with a potential."
                )
        if on_imaginary_modes not in ("warn", "error"):
            raise E3DOSError(
                f"on_imaginary_modes={on_imaginary_modes!r}: choose 'warn' or 'error'."
            )
        if relax_structure and calculator is None:
            raise E3DOSError(
                "relax_structure=True needs forces, which are not predicted. Give a calculator, "
                "or relax_structure=False for structures that are relaxed."
            )
        self._pes_calculator = calculator  # matcalc's name; a named potential is loaded when used
        self.relax_structure = (
            calculator is not None if relax_structure is None else relax_structure
        )
        self.relaxation = {
            "fmax": fmax, "max_steps": max_steps, "optimizer": optimizer,
            **(relax_calc_kwargs or {}),
        }  # fmt: skip
        self.temperatures: dict[str, Any] = {"t_min": t_min, "t_max": t_max, "t_step": t_step}
        self.imaginary_freq_tol, self.on_imaginary_modes = imaginary_freq_tol, on_imaginary_modes
        self.supercell_matrix, self.symprec = supercell_matrix, symprec
        self.write_total_dos = _path(write_total_dos, "total_dos.dat")
        self.write_phonon = _path(write_phonon, "phonon.yaml")
        self.model, self.device = model, device

    @property
    def calculator(self) -> Any:
        """The calculator that relaxes structures, or its name."""
        return self._pes_calculator

    def calc(self, structure: Any) -> dict[str, Any]:
        """Predict one structure.

        Parameters
        ----------
        structure : pymatgen Structure, ase.Atoms or dict
            A dictionary is the result of a calculator that ran before, with the structure in
            `final_structure`, or in `structure`.

        Returns
        -------
        dict
            What came in and `PhononCalc`'s keys: `final_structure`, `phonon` (E3DOSPhonopy),
            `thermal_properties` (temperatures in K, free_energy in kJ/mol, entropy and
            heat_capacity in J/(K mol)), `frequencies` (THz; quantiles of the spectrum, shape
            (n, 3 n_atoms)), `disp_supercells` (none), what the relaxation gave, and `_units`. Also
            `spectrum` (PhononSpectrum).

        Raises
        ------
        E3DOSError
            If the structure cannot be predicted.
        ImaginaryModesError
            If it has imaginary modes and `on_imaginary_modes` is "error".
        """
        from ase_e3dos.interfaces.phonopy import E3DOSPhonopy

        result = _received(structure)
        if self.relax_structure:
            result |= self._relaxed(result["final_structure"])
        phonon = E3DOSPhonopy(
            result["final_structure"],
            self.supercell_matrix,
            primitive_matrix="P",
            symprec=self.symprec,
            model=self.model,
            device=self.device,
        )
        mesh = phonon.run_mesh()
        self._check_imaginary_modes(phonon, mesh)
        phonon.run_thermal_properties(**self.temperatures)
        if self.write_total_dos:
            phonon.auto_total_dos(write_dat=True, filename=self.write_total_dos)
        if self.write_phonon:
            phonon.save(self.write_phonon)
        return result | {
            "phonon": phonon,
            "spectrum": phonon.spectrum,
            "thermal_properties": phonon.get_thermal_properties_dict(),
            "frequencies": mesh.frequencies,
            "disp_supercells": [],
            "_units": {**result.get("_units", {}), **_UNITS},
        }

    def calc_many(
        self,
        structures: Sequence[Any] | Iterable[Any],
        n_jobs: int | None = None,
        allow_errors: bool = False,
        **options: Any,
    ) -> Iterator[dict[str, Any] | None]:
        """Predict many structures, in order.

        Relaxations run in `n_jobs` processes as matcalc's do; without them `n_jobs` and other
        options of joblib have no effect, since one process is fastest.
        With `allow_errors`, None stands in the place of a structure that cannot be predicted.
        """
        if self.relax_structure and n_jobs not in (None, 1):
            shared: Any = super()
            yield from shared.calc_many(structures, n_jobs, allow_errors, **options)
            return
        for structure in structures:
            try:
                yield self.calc(structure)
            except Exception:  # of ours, or of a potential
                if not allow_errors:
                    raise
                yield None

    def _relaxed(self, structure: Any) -> dict[str, Any]:
        matcalc = _matcalc("Relaxing structures")
        relaxer = matcalc.RelaxCalc(self._pes_calculator, **self.relaxation)
        relaxed: dict[str, Any] = relaxer.calc(structure)
        return relaxed

    def _check_imaginary_modes(self, phonon: E3DOSPhonopy, mesh: Any) -> None:
        below = (mesh.frequencies < self.imaginary_freq_tol).mean(axis=1)
        share = float(np.average(below, weights=mesh.weights))
        if share <= IMAGINARY_TOLERANCE:
            return
        message = (
            f"{phonon.spectrum.crystal.name}: {share:.2%} of the modes are imaginary (below "
            f"{self.imaginary_freq_tol:g} THz), the lowest at {mesh.frequencies.min():.2f} THz: "
            "the structure may be unstable, and its thermal properties leave them out. Relax it "
            "further, or check it with matcalc's PhononCalc and a potential."
        )
        if self.on_imaginary_modes == "error":
            raise ImaginaryModesError(message)
        if not any(isinstance(w, ImaginaryWeightWarning) for w in phonon.spectrum.warnings):
            warnings.warn(message, ImaginaryWeightWarning, stacklevel=4)


class E3DOSQHACalc(QHACalc):
    """matcalc's `QHACalc` with predicted spectra: its potential gives energies and relaxations.

    Parameters are those of `QHACalc`; `phonon_calc_kwargs` are those of `E3DOSPhononCalc`, among
    them `model` and `device`.

    Raises
    ------
    MissingExtraError
        If matcalc is not installed.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        _matcalc("E3DOSQHACalc")
        super().__init__(*args, **options)

    def _calculate_thermal_properties(
        self, structure: Any, *, write_phonon: bool | str = False
    ) -> dict[str, Any]:
        """What `QHACalc` asks of a `PhononCalc` at each volume."""
        options = {
            "t_min": self.t_min,
            "t_max": self.t_max + self.t_step,  # one more, for the differences of PhonopyQHA
            "t_step": self.t_step,
            "imaginary_freq_tol": self.imaginary_freq_tol,
            "on_imaginary_modes": self.on_imaginary_modes,
            "fix_imaginary_attempts": self.fix_imaginary_attempts,
            "write_phonon": write_phonon,
            **(self.phonon_calc_kwargs or {}),
        }
        return E3DOSPhononCalc(**options | {"relax_structure": False}).calc(structure)


def _received(structure: Any) -> dict[str, Any]:
    """What came in as a dictionary of our own, with the structure in `final_structure`."""
    if not isinstance(structure, dict):
        return {"final_structure": structure}
    if "final_structure" in structure:
        return dict(structure)
    if "structure" in structure:
        return {**structure, "final_structure": structure["structure"]}
    raise CrystalError(
        "a dictionary without final_structure or structure holds no crystal. Give a Structure, "
        "Atoms, or the result of a calculator of matcalc."
    )


def _path(given: bool | str | Path, default: str) -> str:
    return default if given is True else str(given or "")


def _matcalc(what: str) -> Any:
    try:
        return import_module("matcalc")
    except ImportError as error:
        raise MissingExtraError(f"{what} needs matcalc: pip install matcalc.") from error
