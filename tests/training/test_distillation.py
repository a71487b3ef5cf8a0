"""Labels that an ensemble gives: its own mean, for the source asked for."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk

from ase_e3dos.errors import TrainingError
from ase_e3dos.prediction.pipeline import Predictor
from ase_e3dos.structures.crystal import Crystal
from ase_e3dos.training.distillation import taught_set
from ase_e3dos.training.sampler import GraphSet

pytestmark = pytest.mark.usefixtures("default_model")


def test_labels_are_the_mean_of_the_ensemble_for_each_site() -> None:
    from ase_e3dos.plugins import get_registry

    crystals = [
        Crystal.from_any(bulk("NaCl", "rocksalt", a=5.64)),
        Crystal.from_any(bulk("Si", "diamond", a=5.43)),
    ]
    teacher = Predictor("default", "cpu")
    taught = taught_set(teacher, crystals, "dfpt")
    assert (taught.kind, taught.source, len(taught)) == ("site", "dfpt", 2)
    for bins, spectrum in zip(taught.bins, teacher.spectra(crystals), strict=True):
        assert bins.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
        members = np.asarray(spectrum.members)
        mean = (members / members.sum(axis=1, keepdims=True)).mean(axis=0)
        assert np.abs(bins.mean(axis=0) - mean).max() < 1e-4
    encoder = get_registry().encoder("mass_one_hot")
    graphs = GraphSet.build(taught, teacher.model.cutoff, False, encoder, 0)
    assert [len(g) for g in graphs.groups] == [1, 1]  # no strained pairs among them


def test_a_teacher_without_site_spectra_is_refused() -> None:
    with pytest.raises(TrainingError, match="site spectra"):
        taught_set(Predictor("paper", "cpu"), [Crystal.from_any(bulk("Cu"))], "dfpt")
