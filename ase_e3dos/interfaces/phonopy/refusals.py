"""What stands in the place of force constants and of steps that a predicted spectrum lacks."""

from __future__ import annotations

import warnings
from typing import Any

from ase_e3dos.errors import NotPredictedError, PassedOverWarning

_FORCE_CONSTANTS = 'E3DOSPhonopy(..., model="force-constants")'
HINTS = {
    "generate_displacements": "Delete this step: no displacements are needed.",
    "produce_force_constants": "Delete this step: no forces or force constants are needed.",
    "symmetrize_force_constants": "Delete this step: there are no force constants.",
    "plot_band_structure_and_dos": f"Make {_FORCE_CONSTANTS}, which predicts force constants and "
    "has bands, or draw the density alone with plot_total_dos.",
}
#: Steps of a script with displaced supercells that give nothing which anything else needs.
PASSED_OVER = frozenset(
    {"develop_mlp", "evaluate_mlp", "generate_displacements", "init_dynamical_matrix", "load_mlp",
     "produce_force_constants", "set_force_constants_zero_with_radius",
     "symmetrize_force_constants", "symmetrize_force_constants_by_space_group"}
)  # fmt: skip


class _NoForceConstants:
    """Stands for force constants that there are not."""

    def __repr__(self) -> str:
        return "<no force constants: the spectrum is predicted directly>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise not_predicted("using Phonopy.force_constants as numbers")

    def _refuse(self, *_args: Any, **_options: Any) -> Any:
        raise not_predicted("using Phonopy.force_constants as numbers")

    # Python looks these up on the class, past `__getattr__`; in-place ones fall back on them.
    __add__ = __radd__ = _refuse
    __sub__ = __rsub__ = _refuse
    __mul__ = __rmul__ = _refuse
    __matmul__ = __rmatmul__ = _refuse
    __truediv__ = __rtruediv__ = _refuse
    __floordiv__ = __rfloordiv__ = _refuse
    __mod__ = __rmod__ = _refuse
    __divmod__ = __rdivmod__ = _refuse
    __pow__ = __rpow__ = _refuse
    __and__ = __rand__ = _refuse
    __or__ = __ror__ = _refuse
    __xor__ = __rxor__ = _refuse
    __lshift__ = __rlshift__ = _refuse
    __rshift__ = __rrshift__ = _refuse
    __neg__ = __pos__ = __abs__ = __invert__ = __round__ = _refuse
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse
    __hash__ = object.__hash__
    __len__ = __iter__ = __contains__ = __getitem__ = __setitem__ = __delitem__ = _refuse
    __array__ = __float__ = __int__ = __complex__ = __index__ = _refuse


NO_FORCE_CONSTANTS = _NoForceConstants()


def ran(result: Any, method: str) -> Any:
    """The result of a method that has to be run first, or phonopy's RuntimeError."""
    if result is None:
        raise RuntimeError(f"{method} has to be done before its result is used.")
    return result


def pass_over(step: str, stacklevel: int = 3) -> None:
    """Warn that a step of a script was left out."""
    warnings.warn(
        f"{step}: passed over, since a predicted spectrum needs no displacements, forces or force "
        "constants. Delete this step.",
        PassedOverWarning,
        stacklevel=stacklevel,
    )


def not_predicted(what: str, hint: str = "") -> NotPredictedError:
    """The error that names a method of phonopy and says what to do instead."""
    return NotPredictedError(
        f"{what}: a predicted density of states has no bands, eigenvectors or force constants. "
        + (
            hint
            or f"Make {_FORCE_CONSTANTS}, which predicts force constants and has them all, or use "
            "phonopy.Phonopy with finite displacements and a potential or DFT."
        )
    )
