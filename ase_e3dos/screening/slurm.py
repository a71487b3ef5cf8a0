"""SLURM jobs as Dask workers, through dask-jobqueue."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Any

from ase_e3dos.errors import MissingExtraError, ScreeningError

_CONFIGURE = (
    "Give queue, cores, memory and walltime in ~/.config/dask/jobqueue.yaml (a key `jobqueue`, in "
    "it `slurm`)."
)
#: Seconds that a command of SLURM may take; its controller can be slow under load.
_TIMEOUT = 60.0


def slurm_cluster(jobs: int) -> Any:
    """Ask for jobs as the user's dask-jobqueue configuration describes them.

    Jobs that end, by their time limit or otherwise, are asked for again.

    Parameters
    ----------
    jobs : int
        Their number.

    Returns
    -------
    dask_jobqueue.SLURMCluster

    Raises
    ------
    MissingExtraError
        dask-jobqueue is not installed.
    ScreeningError
        The configuration does not describe a job, or SLURM is not here or would refuse the job.
    """
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise MissingExtraError(
            "SLURM jobs need dask-jobqueue. Install it with `pip install ase-e3dos[slurm]`."
        ) from error
    try:
        cluster = SLURMCluster()
    except (TypeError, ValueError) as error:
        raise ScreeningError(
            f"dask-jobqueue cannot describe the SLURM jobs ({error}). {_CONFIGURE}"
        ) from error
    try:
        _check(cluster.job_script())
        cluster.adapt(minimum_jobs=jobs, maximum_jobs=jobs)
    except BaseException:
        cluster.close()
        raise
    return cluster


def _check(script: str) -> None:
    """Have SLURM judge the job without queueing it; dask-jobqueue would wait for ever."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "job.sh")
        path.write_text(script, encoding="utf-8")
        try:
            done = subprocess.run(
                ["sbatch", "--test-only", str(path)],
                capture_output=True, text=True, check=False, timeout=_TIMEOUT,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ScreeningError(
                f"SLURM does not answer here ({error}). Run this where `sbatch` works, on a login "
                "node."
            ) from error
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())
        raise ScreeningError(f"SLURM would refuse the job ({reason}). {_CONFIGURE}")


def jobs_are_gone(cluster: Any) -> bool:
    """Whether all jobs that were asked for have left the queue, whatever their end was.

    Parameters
    ----------
    cluster
        Of `slurm_cluster`.
    """
    ids = [job.job_id for job in list(cluster.workers.values()) if getattr(job, "job_id", None)]
    if not ids:
        return False
    try:
        done = subprocess.run(
            ["squeue", "--noheader", "--format=%A", f"--jobs={','.join(ids)}"],
            capture_output=True, text=True, check=False, timeout=_TIMEOUT,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    # Of jobs that it has forgotten, SLURM says that their ids are invalid.
    unknown = done.returncode != 0 and "Invalid job id" in done.stderr
    return unknown or (done.returncode == 0 and not done.stdout.strip())
