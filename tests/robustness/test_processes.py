"""Predictions in processes of every kind, after a prediction in the parent."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ase_e3dos.prediction.pipeline import load_predictor
from ase_e3dos.screening.cluster import own_device
from ase_e3dos.structures.crystal import Crystal

# With two threads in the parent, a forked child hangs in its first product of matrices, unless it
# leaves alone the pool of threads that was not copied with it.
SCRIPT = """
import concurrent.futures as futures, multiprocessing as mp
import torch
from ase.build import bulk

def predicted(a):
    from ase_e3dos import predict
    cell = bulk("NaCl", "rocksalt", a=a, cubic=True) * (2, 2, 2)
    return predict([cell], model="paper", device="cpu")[0].mean_wavenumber

LENGTHS = [5.5, 5.6, 5.7]

if __name__ == "__main__":
    torch.set_num_threads(2)
    expected = [predicted(a) for a in LENGTHS]

    def same(found):
        assert max(abs(f - e) for f, e in zip(found, expected, strict=True)) < 1e-3, found

    fork = mp.get_context("fork")
    with fork.Pool(2) as pool:
        same(pool.map_async(predicted, LENGTHS).get(timeout=120))
    with futures.ProcessPoolExecutor(2, mp_context=fork) as executor:
        same(list(executor.map(predicted, LENGTHS, timeout=120)))
    with futures.ThreadPoolExecutor(2) as executor:
        same(list(executor.map(predicted, LENGTHS, timeout=120)))
    with mp.get_context("spawn").Pool(1) as pool:
        same(pool.map_async(predicted, LENGTHS).get(timeout=240))
    assert torch.get_num_threads() == 2
    print("all agree")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_forks_spawns_and_threads_after_a_prediction(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    run = subprocess.run(
        [sys.executable, "-W", "ignore", script], capture_output=True, text=True, timeout=500,
        env={**os.environ, "OMP_NUM_THREADS": "2"}, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-2000:]
    assert "all agree" in run.stdout


def test_joblib(rocksalt) -> None:
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    crystal = Crystal.from_any(rocksalt)
    predictor = load_predictor("paper", "cpu")
    jobs = [joblib.delayed(predictor.spectra)([crystal]) for _ in range(2)]
    expected = predictor.spectra([crystal])
    assert joblib.Parallel(n_jobs=2, backend="multiprocessing")(jobs) == [expected] * 2


def test_a_predictor_is_pickled_as_what_was_asked_for(rocksalt) -> None:
    crystal = Crystal.from_any(rocksalt)
    for model, encoder in (("default", None), ("paper", "alloy_multi_hot")):
        predictor = load_predictor(model, "cpu", encoder)
        content = pickle.dumps(predictor)
        assert len(content) < 1000
        again = pickle.loads(content)
        assert np.array_equal(
            again.spectra([crystal])[0].density, predictor.spectra([crystal])[0].density
        )


@pytest.mark.parametrize(
    ("device", "worker", "n", "expected"),
    [
        ("auto", 0, 4, "cuda:0"),
        ("auto", 5, 4, "cuda:1"),
        ("cuda", "SLURMCluster-0-3", 2, "cuda:1"),
        ("cuda:1", 0, 4, "cuda:1"),
        ("auto", 1, 1, "auto"),
        ("auto", "tcp-worker", 4, "auto"),
        ("cpu", 1, 4, "cpu"),
    ],
)
def test_workers_of_dask_take_a_gpu_each(device, worker, n, expected) -> None:
    assert own_device(device, worker, n) == expected
