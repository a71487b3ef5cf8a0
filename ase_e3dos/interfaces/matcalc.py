"""A property calculator for matcalc, in the place of its `PhononCalc`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:

    class PropCalc:
        """matcalc's base class, of which nothing but the name matters here."""

else:
    try:
        PropCalc = import_module("matcalc").PropCalc
    except ImportError:  # the class below works without it, and as a PropCalc with it
        PropCalc = object

__all__ = ["E3DOSPhononCalc"]

#: Arguments of matcalc's `PhononCalc` (0.7) that mean nothing for a predicted spectrum.
IGNORED = frozenset(
    {"atom_disp", "fix_imaginary_attempts", "fmax", "imaginary_freq_tol", "max_steps",
     "min_length", "on_imaginary_modes", "optimizer", "rattle_method", "rattle_stdev",
     "rattle_temperature", "relax_calc_kwargs", "relax_structure", "seed", "supercell_matrix",
     "symprec", "write_band_structure", "write_force_constants", "write_phonon",
     "write_total_dos"}
)  # fmt: skip


class E3DOSPhononCalc(PropCalc):
    """Thermal properties of predicted spectra as matcalc's `PhononCalc` returns them.

    Parameters
    ----------
    calculator : optional
        Taken, and kept as an attribute, because matcalc's benchmarks pass one; not used.
    t_step, t_max, t_min : float
        Temperatures in K.
    model, device : str
        As for `ase_e3dos.predict`.
    **options
        Further arguments of matcalc's `PhononCalc` (`IGNORED`: displacements, supercells,
        relaxation, files), which mean nothing here.

    Raises
    ------
    TypeError
        If an argument is none of these.

    Notes
    -----
    The structure is taken as it is: relax it first with matcalc's `RelaxationCalc`. As in
    matcalc, values are per phonopy's primitive cell.
    """

    def __init__(
        self,
        calculator: Any = None,
        *,
        t_step: float = 10,
        t_max: float = 1000,
        t_min: float = 0,
        model: str = "default",
        device: str = "auto",
        **options: Any,
    ) -> None:
        unknown = options.keys() - IGNORED
        if unknown:
            raise TypeError(
                f"E3DOSPhononCalc has no argument {', '.join(sorted(unknown))}, nor has matcalc's "
                "PhononCalc. Check the spelling; t_min, t_max, t_step, model and device matter."
            )
        self._pes_calculator = calculator  # matcalc's name; its setter would load a named potential
        self.temperatures = {"t_min": t_min, "t_max": t_max, "t_step": t_step}
        self.model, self.device = model, device

    @property
    def calculator(self) -> Any:
        """What was given, and is not used."""
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
            `phonon` (E3DOSPhonopy), `thermal_properties` (temperatures in K, free_energy in
            kJ/mol, entropy and heat_capacity in J/(K mol)), `spectrum`, and what came in.

        Raises
        ------
        E3DOSError
            If the structure cannot be predicted.
        """
        from ase_e3dos.interfaces.phonopy import E3DOSPhonopy

        result = dict(structure) if isinstance(structure, dict) else {}
        if isinstance(structure, dict):
            structure = structure.get("final_structure", structure.get("structure"))
        phonon = E3DOSPhonopy(structure, model=self.model, device=self.device)
        phonon.run_mesh()
        phonon.run_total_dos()
        t_min, t_max, t_step = (self.temperatures[k] for k in ("t_min", "t_max", "t_step"))
        phonon.run_thermal_properties(t_min=t_min, t_max=t_max, t_step=t_step)
        return result | {
            "phonon": phonon,
            "spectrum": phonon.spectrum,
            "thermal_properties": phonon.get_thermal_properties_dict(),
            "_units": {
                **result.get("_units", {}),
                "thermal_properties": {
                    "temperatures": "K",
                    "free_energy": "kJ/mol",
                    "entropy": "J/K/mol",
                    "heat_capacity": "J/K/mol",
                },
            },
        }

    def calc_many(
        self,
        structures: Sequence[Any] | Iterable[Any],
        n_jobs: int | None = None,
        allow_errors: bool = False,
        **_options: Any,
    ) -> Iterator[dict[str, Any] | None]:
        """Predict many structures, in order; `n_jobs` is accepted and has no effect.

        With `allow_errors`, None stands in the place of a structure that cannot be predicted.
        """
        from ase_e3dos.errors import E3DOSError

        for structure in structures:
            try:
                yield self.calc(structure)
            except E3DOSError:
                if not allow_errors:
                    raise
                yield None
