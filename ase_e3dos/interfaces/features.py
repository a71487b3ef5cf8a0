"""Features of crystals for machine learning, as matminer and scikit-learn hand them on."""

from __future__ import annotations

import inspect
import itertools
import math
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ase_e3dos.errors import E3DOSError, MissingExtraError, SpectrumError
from ase_e3dos.phonon_spectrum import PhononSpectrum
from ase_e3dos.structures.crystal import Crystal

__all__ = ["DosFeaturizer", "featurize_dataframe"]


class DosFeaturizer:
    """Descriptors of predicted phonon spectra, with the methods of scikit-learn and matminer.

    It learns nothing from the data that it is fitted to, so that it may stand in a pipeline in
    front of any model: ``make_pipeline(DosFeaturizer(), RandomForestRegressor())``. Features are
    finite: without a gap both its width and its centre are 0. `set_output` chooses between arrays
    and data frames, as scikit-learn's own transformers have it.

    Parameters
    ----------
    model : str
        Name of a model or path of its weights.
    temperatures : sequence of float
        K, at which heat capacity, entropy and free energy are features.
    bins : sequence of float, optional
        Edges in cm^-1, ascending: the shares of the modes between them are features, too.
    device : str
    errors : {"raise", "nan"}
        Whether a structure that cannot be predicted is an error or a row of NaN.

    Examples
    --------
    >>> from ase.build import bulk
    >>> features = DosFeaturizer(temperatures=[300.0])
    >>> features.fit_transform([bulk("NaCl", "rocksalt", a=5.64)]).shape[0]
    1
    """

    def __init__(
        self,
        model: str = "default",
        temperatures: Sequence[float] = (300.0,),
        bins: Sequence[float] | None = None,
        device: str = "auto",
        errors: str = "raise",
    ) -> None:
        self.model = model
        self.temperatures = temperatures
        self.bins = bins
        self.device = device
        self.errors = errors

    # -- scikit-learn -----------------------------------------------------------------------

    def fit(self, X: Any = None, y: Any = None) -> Self:
        """Check the parameters; nothing is learned.

        Parameters
        ----------
        X, y
            Of no effect.

        Returns
        -------
        DosFeaturizer
            This one.
        """
        self.get_feature_names_out()
        return self

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose what `transform` returns.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, optional
            Arrays, or data frames with the names of the features; pandas' keep the index of what
            they are of. None leaves it as it is: what `sklearn.set_config` says, else arrays.

        Returns
        -------
        DosFeaturizer
            This one.

        Raises
        ------
        SpectrumError
            If it is none of them.
        """
        if transform is None:
            return self
        _checked_container(transform)
        self._sklearn_output_config = {"transform": transform}  # where `clone` looks for it
        return self

    def transform(self, X: Any) -> Any:
        """Features of structures.

        Parameters
        ----------
        X : iterable
            Structures of any kind, as `predict` takes them; a table of one column, too.

        Returns
        -------
        ndarray, shape (n, n_features), or data frame
            As `set_output` has it.

        Raises
        ------
        E3DOSError
            A structure cannot be predicted, and `errors` is "raise".
        MissingExtraError
            The package of the data frames is not installed.
        """
        return self._as_asked(self._table(X), getattr(X, "index", None))

    def _table(self, X: Any) -> NDArray[np.float64]:
        from ase_e3dos.prediction.notices import warn_about
        from ase_e3dos.prediction.pipeline import load_predictor

        names = self.get_feature_names_out()
        predictor = load_predictor(self.model, self.device)
        rows: list[list[float]] = []
        for spectrum in predictor.stream(map(_crystal, _column(X)), uncertainty=False):
            if not isinstance(spectrum, E3DOSError):
                warn_about(spectrum)
                rows.append(self._row(spectrum))
            elif self.errors == "raise":
                raise spectrum
            else:
                rows.append([math.nan] * len(names))
        return np.array(rows, dtype=np.float64).reshape(len(rows), len(names))

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """`fit` and `transform`."""
        return self.fit(X, y).transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Names of the features, which state their units.

        Parameters
        ----------
        input_features
            Of no effect.

        Returns
        -------
        ndarray of object, shape (n_features,)
        """
        return np.array(self.feature_labels(), dtype=object)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name, for scikit-learn's `clone` and searches over them."""
        return {name: getattr(self, name) for name in _parameters()}

    def set_params(self, **parameters: Any) -> Self:
        """Set parameters by name.

        Parameters
        ----------
        **parameters
            As for the class.

        Returns
        -------
        DosFeaturizer
            This one.

        Raises
        ------
        SpectrumError
            If there is no such parameter.
        """
        for name, value in parameters.items():
            if name not in _parameters():
                raise SpectrumError(
                    f"DosFeaturizer has no parameter {name!r}; it has {', '.join(_parameters())}."
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        given = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({given})"

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of every estimator: needs no fit, takes objects."""
        tags = import_module("sklearn.utils")
        return tags.Tags(
            estimator_type=None,
            target_tags=tags.TargetTags(required=False),
            transformer_tags=tags.TransformerTags(),
            input_tags=tags.InputTags(two_d_array=False, one_d_array=True),
            requires_fit=False,
            no_validation=True,
        )

    def __sklearn_is_fitted__(self) -> bool:
        """Whether it can transform: always."""
        return True

    # -- matminer -----------------------------------------------------------------------------

    def feature_labels(self) -> list[str]:
        """Names of the features, as matminer calls the method.

        Raises
        ------
        SpectrumError
            If temperatures or bins make no features.
        """
        from ase_e3dos.analysis.descriptors import COLUMNS

        self._check()
        edges = list(self.bins or ())
        return [
            *(f"{name} ({unit})" if unit else name for name, (unit, _) in COLUMNS.items()),
            *(
                f"{name} {temperature:g} K ({unit} per atom)"
                for temperature in self.temperatures
                for name, unit in _THERMAL.items()
            ),
            *(
                f"share of modes {low:g} to {high:g} cm^-1"
                for low, high in itertools.pairwise(edges)
            ),
        ]

    def featurize(self, structure: Any) -> list[float]:
        """Features of one structure.

        Parameters
        ----------
        structure : any structure that `predict` takes

        Returns
        -------
        list of float
            In the units that `feature_labels` names.
        """
        return [float(value) for value in self._table([structure])[0]]

    def featurize_many(self, entries: Iterable[Any]) -> list[list[float]]:
        """Features of structures, a list for each.

        Parameters
        ----------
        entries : iterable of structures

        Returns
        -------
        list of list of float
            In the units that `feature_labels` names.
        """
        return [[float(v) for v in row] for row in self._table(list(entries))]

    def featurize_dataframe(
        self,
        df: Any,
        col_id: str = "structure",
        ignore_errors: bool = False,
        inplace: bool = False,
    ) -> Any:
        """The data frame with a column for each feature; see `featurize_dataframe`."""
        return featurize_dataframe(
            df, col_id, featurizer=self, ignore_errors=ignore_errors, inplace=inplace
        )

    def citations(self) -> list[str]:
        """BibTeX of the method."""
        return [
            "@article{chen2021direct, title={Direct prediction of phonon density of states with "
            "Euclidean neural networks}, author={Chen, Zhantao and others}, journal={Advanced "
            "Science}, volume={8}, pages={2004214}, year={2021}, doi={10.1002/advs.202004214}}"
        ]

    def implementors(self) -> list[str]:
        """Who wrote this."""
        return ["The ase-e3dos developers"]

    # -- helpers ------------------------------------------------------------------------------

    def _as_asked(self, table: NDArray[np.float64], index: Any) -> Any:
        """Features as `set_output`, or else scikit-learn's configuration, has them."""
        config = getattr(self, "_sklearn_output_config", {})
        container = config.get("transform") or _configured_container()
        if container == "default":
            return table
        try:
            frames = import_module(container)
        except ImportError as error:
            raise MissingExtraError(
                f"set_output(transform={container!r}) needs {container}: pip install {container}."
            ) from error
        names = list(self.get_feature_names_out())
        if container == "polars":
            return frames.DataFrame(table, schema=names, orient="row")
        fits = index is not None and not callable(index)  # lists have a method of that name
        return frames.DataFrame(table, columns=names, index=index if fits else None)

    def _check(self) -> None:
        from ase_e3dos.spectrum.thermal import checked_temperatures

        checked_temperatures(self.temperatures)
        edges = np.asarray(self.bins if self.bins is not None else [0.0, 1.0], dtype=np.float64)
        if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
            raise SpectrumError(
                f"bins={self.bins!r:.200} has to be ascending edges in cm^-1, two at least, or "
                "None."
            )
        if self.errors not in ("raise", "nan"):
            raise SpectrumError(f"errors={self.errors!r} has to be 'raise' or 'nan'.")

    def _row(self, spectrum: PhononSpectrum) -> list[float]:
        from ase_e3dos.analysis.descriptors import COLUMNS

        found = spectrum.describe()
        if math.isnan(found["largest_gap_center"]):  # no gap: its width is 0, too
            found["largest_gap_center"] = 0.0
        row = [float(found[name]) for name in COLUMNS]
        atom = spectrum.per_atom()
        for temperature in self.temperatures:
            row += [float(getattr(atom, name)(temperature)) for name in _THERMAL]
        if self.bins is not None:
            below = spectrum.grid.cumulative(spectrum.density, np.asarray(self.bins, dtype=float))
            row += [float(share) for share in np.diff(below) / spectrum.n_modes]
        return row


def featurize_dataframe(
    df: Any,
    col_id: str = "structure",
    *,
    featurizer: DosFeaturizer | None = None,
    ignore_errors: bool = False,
    inplace: bool = False,
) -> Any:
    """Return a data frame with features of predicted phonon spectra beside the structures.

    Parameters
    ----------
    df : pandas.DataFrame
    col_id : str
        Column of structures of any kind, as `predict` takes them.
    featurizer : DosFeaturizer, optional
        `DosFeaturizer()` if not given.
    ignore_errors : bool
        Whether structures that cannot be predicted give NaN instead of an error.
    inplace : bool
        Add the columns to `df` itself.

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    E3DOSError
        A structure cannot be predicted, and `ignore_errors` is false.
    MissingExtraError
        Pandas is not installed.
    SpectrumError
        If the column is not there.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtraError("featurize_dataframe needs pandas: pip install pandas.") from error
    if col_id not in df.columns:
        raise SpectrumError(
            f"The data frame has no column {col_id!r}; give col_id, one of "
            f"{', '.join(map(str, df.columns))}."
        )
    chosen = featurizer or DosFeaturizer()
    if ignore_errors:
        chosen = DosFeaturizer(**chosen.get_params() | {"errors": "nan"})
    names = list(chosen.get_feature_names_out())
    features = pd.DataFrame(chosen._table(df[col_id].tolist()), columns=names, index=df.index)
    if not inplace:
        return pd.concat([df, features], axis=1)
    for name in names:
        df[name] = features[name]
    return df


#: Thermal features and their units.
_THERMAL = {"heat_capacity": "J/(K mol)", "entropy": "J/(K mol)", "free_energy": "kJ/mol"}


def _checked_container(name: str) -> str:
    if name not in ("default", "pandas", "polars"):
        raise SpectrumError(
            f"transform={name!r} has to be 'default' (arrays), 'pandas' or 'polars'."
        )
    return name


def _configured_container() -> str:
    """What `sklearn.set_config(transform_output=...)` says, where scikit-learn is in use."""
    sklearn = sys.modules.get("sklearn")
    if sklearn is None:
        return "default"
    return _checked_container(sklearn.get_config().get("transform_output", "default"))


def _parameters() -> list[str]:
    return list(inspect.signature(DosFeaturizer).parameters)


def _crystal(structure: Any) -> Crystal | E3DOSError:
    """One structure, or the error that says why it is none."""
    try:
        return Crystal.quietly(structure)
    except E3DOSError as error:
        return error


def _column(X: Any) -> list[Any]:
    """The structures of a table or array of one column, or of any iterable."""
    columns = getattr(X, "columns", None)
    if columns is not None and len(columns) == 1:
        return list(X[columns[0]])
    return list(X.ravel()) if isinstance(X, np.ndarray) else list(X)
