"""Features for matminer's and scikit-learn's users."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from ase.build import bulk

from ase_e3dos import predict
from ase_e3dos.errors import E3DOSError, SpectrumError
from ase_e3dos.interfaces.features import DosFeaturizer, featurize_dataframe

pd = pytest.importorskip("pandas", reason="pandas is not installed")
pytestmark = pytest.mark.usefixtures("default_model")

STRUCTURES = [bulk("NaCl", "rocksalt", a=5.64), bulk("MgO", "rocksalt", a=4.21)]


def test_features_are_those_of_the_spectra():
    featurizer = DosFeaturizer(temperatures=[300.0], bins=[-500.0, 200.0, 5000.0])
    names = list(featurizer.get_feature_names_out())
    table = featurizer.fit_transform(STRUCTURES)
    assert table.shape == (2, len(names))
    for row, spectrum in zip(table, predict(STRUCTURES), strict=True):
        found = dict(zip(names, row, strict=True))
        heat = spectrum.per_atom().heat_capacity(300.0)
        assert found["heat_capacity 300 K (J/(K mol) per atom)"] == pytest.approx(heat, rel=1e-6)
        assert found["mean_wavenumber (cm^-1)"] == pytest.approx(
            spectrum.describe()["mean_wavenumber"]
        )
        assert sum(v for n, v in found.items() if "share" in n) == pytest.approx(1.0, abs=1e-6)
    with pytest.raises(SpectrumError, match="ascending"):
        DosFeaturizer(bins=[1.0, 0.0]).fit()


def test_a_data_frame_gets_columns_and_keeps_its_index():
    frame = pd.DataFrame({"structure": [*STRUCTURES, "no.cif"], "y": [1, 2, 3]}, index=[5, 7, 9])
    with pytest.raises(E3DOSError):
        featurize_dataframe(frame)
    wide = featurize_dataframe(frame, ignore_errors=True)
    assert list(wide.index) == [5, 7, 9]
    assert wide["mean_wavenumber (cm^-1)"].isna().tolist() == [False, False, True]
    assert wide["y"].tolist() == [1, 2, 3]
    with pytest.raises(SpectrumError, match="no column 'cell'"):
        featurize_dataframe(frame, "cell")


def test_it_is_an_estimator_of_scikit_learn():
    sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(DosFeaturizer(bins=[0.0, 300.0, 900.0]), StandardScaler(), Ridge())
    pipeline = sklearn.base.clone(pipeline).set_params(dosfeaturizer__temperatures=[100.0])
    values = pipeline.fit(STRUCTURES, [1.0, 2.0]).predict(STRUCTURES)
    assert values.shape == (2,)
    assert np.diff(values)[0] > 0


def test_it_becomes_frames_copies_and_columns_as_scikit_learn_has_them():
    sklearn = pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    featurizer = DosFeaturizer(temperatures=[300.0])
    values, names = featurizer.fit_transform(STRUCTURES), featurizer.get_feature_names_out()
    assert isinstance(values, np.ndarray)
    table = pd.DataFrame({"structure": STRUCTURES, "y": [1.0, 2.0]}, index=["a", "b"])
    pipeline = make_pipeline(featurizer, StandardScaler()).set_output(transform="pandas")
    frame = pickle.loads(pickle.dumps(sklearn.base.clone(pipeline)))[0].transform(
        table["structure"]
    )
    np.testing.assert_array_equal(frame.to_numpy(), values)
    assert list(frame.columns) == list(names)
    assert list(frame.index) == ["a", "b"]
    assert list(pipeline.fit(STRUCTURES).get_feature_names_out()) == list(names)
    columns = ColumnTransformer([("dos", DosFeaturizer(), "structure")], remainder="passthrough")
    wide = columns.set_output(transform="pandas").fit_transform(table)
    assert list(wide.columns) == [*(f"dos__{n}" for n in names), "remainder__y"]
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(DosFeaturizer().transform(STRUCTURES[:1]), pd.DataFrame)
    with pytest.raises(SpectrumError, match="'polars'"):
        featurizer.set_output(transform="arrow")
    assert "temperatures=[300.0]" in repr(pipeline)
