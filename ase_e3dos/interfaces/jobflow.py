"""jobflow Makers, so that workflows of atomate2 and others can chain predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase_e3dos.errors import MissingExtraError, need_pyarrow
from ase_e3dos.screening.run import screen
from ase_e3dos.screening.settings import DEFAULT_TEMPERATURE

try:
    from jobflow import Maker, job
except ImportError as error:
    raise MissingExtraError(
        "The Makers need jobflow. Install it with `pip install ase-e3dos[jobflow]`."
    ) from error

#: Columns that stay in the Parquet files: too long for a document of a job store.
_LONG = ("density",)


@dataclass
class PredictMaker(Maker):
    """Make jobs that predict one structure each.

    Parameters
    ----------
    name : str, optional
        Of the jobs.
    model, device, uncertainty
        As for `ase_e3dos.predict`.
    temperatures : tuple of float, optional
        K, of the thermal properties.

    Examples
    --------
    >>> job = PredictMaker().make(relax.output.structure)  # doctest: +SKIP
    """

    name: str = "e3dos predict"
    model: str = "default"
    device: str = "auto"
    uncertainty: bool = True
    temperatures: tuple[float, ...] = (300.0,)

    @job  # type: ignore[misc, untyped-decorator]
    def make(self, structure: Any) -> dict[str, Any]:
        """Predict a structure.

        Parameters
        ----------
        structure
            Of pymatgen or ASE, or the output of another job that is such.

        Returns
        -------
        dict
            "spectrum" (PhononSpectrum, as which a job store gives it back), "temperatures" (K),
            "heat_capacity" and "entropy" (J/(K mol of cells)), "free_energy" (kJ/mol of cells),
            "mean_wavenumber" (cm^-1), "warnings" (text) and "provenance".
        """
        from ase_e3dos.prediction import predict

        (spectrum,) = predict(
            structure, model=self.model, device=self.device, uncertainty=self.uncertainty
        )
        temperatures = list(self.temperatures)
        thermal = {
            name: [float(getattr(spectrum, name)(t)) for t in temperatures]
            for name in ("heat_capacity", "entropy", "free_energy")
        }
        return {
            "spectrum": spectrum,
            "temperatures": temperatures,
            **thermal,
            "mean_wavenumber": spectrum.mean_wavenumber,
            "warnings": [f"{type(w).__name__}: {w}" for w in spectrum.warnings],
            "provenance": spectrum.provenance,
        }


@dataclass
class ScreenMaker(Maker):
    """Make jobs that predict many structures at once.

    Parameters
    ----------
    name : str, optional
        Of the jobs.
    model, device, uncertainty, temperature
        As for `ase_e3dos.screen`.
    output : str, optional
        Directory for the shards, in that of the job.

    Examples
    --------
    >>> job = ScreenMaker().make([relax_1.output.structure, relax_2.output.structure])
    ... # doctest: +SKIP
    """

    name: str = "e3dos screen"
    model: str = "default"
    device: str = "auto"
    uncertainty: bool = True
    temperature: float = DEFAULT_TEMPERATURE
    output: str = "e3dos_screen"

    @job  # type: ignore[misc, untyped-decorator]
    def make(self, structures: list[Any], ids: list[str] | None = None) -> dict[str, Any]:
        """Predict structures.

        Parameters
        ----------
        structures : list
            Of pymatgen, or the outputs of other jobs that are such.
        ids : list of str, optional
            One for each; numbers by default.

        Returns
        -------
        dict
            "directory" of the Parquet shards, "rows" (all columns but the density, in order)
            and "failed", the number of rows with an error.
        """
        need_pyarrow("a screening")
        import pyarrow.parquet as pq

        names = [str(k) for k in range(len(structures))] if ids is None else ids
        summary = screen(
            list(zip(names, structures, strict=True)),
            self.output,
            model=self.model,
            device=self.device,
            uncertainty=self.uncertainty,
            temperature=self.temperature,
        )
        table = pq.read_table(summary.output)
        rows = table.select([c for c in table.column_names if c not in _LONG]).to_pylist()
        rows.sort(key=lambda row: names.index(row["id"]) if row["id"] in names else len(names))
        return {
            "directory": str(Path(summary.output).resolve()),
            "rows": rows,
            "failed": summary.failed,
        }
