"""What a screening run computes, and the fingerprint by which a later run knows its rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ase_e3dos.errors import ScreeningError
from ase_e3dos.spectrum.grid import FrequencyGrid
from ase_e3dos.spectrum.thermal import checked_temperatures

if TYPE_CHECKING:
    from ase_e3dos.prediction.pipeline import Predictor

#: Room temperature of the paper's figure 5 and table S2, in K.
PAPER_TEMPERATURE = 293.15
#: Of screens that ask for no other, in K: the same as of every command.
DEFAULT_TEMPERATURE = 300.0


@dataclass(frozen=True)
class ScreenSettings:
    """Model and temperatures of a run; small, and the same on every machine.

    Attributes
    ----------
    model, encoder
        As for `ase_e3dos.predict`.
    uncertainty : bool
        Run the whole ensemble.
    temperatures : tuple of float
        In K, at least one.
    single_temperature : bool
        Whether thermal columns hold numbers; lists, in the order of the temperatures, otherwise.
    """

    model: str = "default"
    encoder: str | None = None
    uncertainty: bool = True
    temperatures: tuple[float, ...] = field(default=(DEFAULT_TEMPERATURE,))
    single_temperature: bool = True

    @classmethod
    def of(
        cls, model: str | Path, encoder: str | None, uncertainty: bool, temperature: Any
    ) -> ScreenSettings:
        """Settings from the arguments of `screen`.

        Raises
        ------
        SpectrumError, ScreeningError
            A temperature is negative or not finite, or none is given.
        """
        single = np.ndim(temperature) == 0
        values = tuple(checked_temperatures(temperature).tolist())
        if not values:
            raise ScreeningError("no temperature is given. Give at least one, in kelvin.")
        return cls(str(model), encoder, uncertainty, values, single)

    @cached_property
    def model_name(self) -> str:
        """Name of the model, as it stands in the rows."""
        return self._spec[0]

    @cached_property
    def model_hash(self) -> str:
        """Fingerprint of weights, data source, encoder and ensemble: 16 hexadecimal digits.

        Rows that carry it need not be computed again.
        """
        source = self._spec[2]
        parts = [self.weights_digest, source or "", self.encoder or "", str(self.uncertainty)]
        return sha256("\0".join(parts).encode()).hexdigest()[:16]

    @cached_property
    def weights_digest(self) -> str:
        """SHA-256 that the weights file carries of its content."""
        from ase_e3dos.network.weights import weights_digest

        return weights_digest(self._spec[1])

    @cached_property
    def grid(self) -> tuple[float, float, int]:
        """First wavenumber, step (cm^-1) and number of points of the model's densities."""
        from ase_e3dos.network.weights import read_header

        grid = read_header(self._spec[1]).grid
        return grid.start, grid.step, grid.n

    @property
    def frequency_grid(self) -> FrequencyGrid:
        """The points of `grid`."""
        start, step, n = self.grid
        return FrequencyGrid.of(start + step * np.arange(n))

    @cached_property
    def _spec(self) -> tuple[str, Path, str | None]:
        from ase_e3dos.plugins import get_registry

        spec = get_registry().resolve_model(self.model)
        return spec.name, Path(spec.weights_path()), spec.source

    def predictor(self, device: str) -> Predictor:
        """The predictor, kept for the next call in this process."""
        from ase_e3dos.prediction.pipeline import load_predictor

        return load_predictor(self.model, device, self.encoder)
