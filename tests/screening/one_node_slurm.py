"""A SLURM of one node on this machine: munged, slurmctld and slurmd, in a directory of their own.

It needs Debian's packages slurmctld, slurmd, slurm-client and munge (or their like), and no
privileges: the daemons run as whoever starts them and are gone afterwards.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("sbatch", "squeue", "scancel", "sinfo")
_PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/local/sbin"

_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={where}/munge.sock
CredType=cred/munge
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={where}/state
SlurmdSpoolDir={where}/spool
SlurmctldPidFile={where}/slurmctld.pid
SlurmdPidFile={where}/slurmd.pid
SlurmctldLogFile={where}/slurmctld.log
SlurmdLogFile={where}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/builtin
ReturnToService=2
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=test Nodes=ALL Default=YES MaxTime=60 State=UP
"""


def missing() -> list[str]:
    """Programs of SLURM and munge that are not here."""
    return [p for p in (*DAEMONS, *COMMANDS) if shutil.which(p, path=_PLACES) is None]


@contextmanager
def one_node_slurm(where: Path, cpus: int = 2, memory: int = 4096) -> Iterator[dict[str, str]]:
    """Run the daemons; gives the environment in which the commands of SLURM find them.

    Parameters
    ----------
    where
        An empty directory, of a short path (it holds a socket), that no one else writes to.
    cpus, memory
        Of the node, in MB; not more than there are.
    """
    ports = _free_ports(2)
    for folder in ("state", "spool"):
        (where / folder).mkdir()
    key = where / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    configuration = where / "slurm.conf"
    configuration.write_text(
        _CONFIGURATION.format(
            host=socket.gethostname().partition(".")[0], user=pwd.getpwuid(os.getuid()).pw_name,
            where=where, ports=ports, cpus=cpus, memory=memory,
        )
    )  # fmt: skip
    environment = {**os.environ, "SLURM_CONF": str(configuration), "PATH": _PLACES}
    daemons: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: object) -> None:
        program = shutil.which(name, path=_PLACES)
        with (where / f"{name}.out").open("wb") as log:
            daemons.append(
                subprocess.Popen(
                    [str(program), *map(str, arguments)], env=environment, stdout=log, stderr=log
                )
            )

    try:
        start(
            "munged", "--foreground", "--force", "--key-file", key,
            "--socket", where / "munge.sock", "--pid-file", where / "munged.pid",
            "--log-file", where / "munged.log", "--seed-file", where / "munged.seed",
        )  # fmt: skip
        _wait(lambda: (where / "munge.sock").exists(), where, daemons)
        start("slurmctld", "-D", "-f", configuration)
        start("slurmd", "-D", "-f", configuration)
        _wait(lambda: _answer(environment, "sinfo", "-h", "-o", "%T") == "idle", where, daemons)
        yield environment
    finally:
        _answer(environment, "scancel", "--partition", "test")
        end = time.monotonic() + 10.0
        while _answer(environment, "squeue", "-h") and time.monotonic() < end:
            time.sleep(0.2)
        for daemon in reversed(daemons):
            daemon.terminate()
            try:
                daemon.wait(10.0)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()


def _answer(environment: dict[str, str], *command: str) -> str:
    program = shutil.which(command[0], path=_PLACES)
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, *command[1:]], env=environment, capture_output=True, text=True, check=False,
            timeout=20.0,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout.strip()


def _wait(condition: object, where: Path, daemons: list[subprocess.Popen[bytes]]) -> None:
    end = time.monotonic() + 60.0
    while not condition():  # type: ignore[operator]
        dead = any(daemon.poll() is not None for daemon in daemons)
        if dead or time.monotonic() > end:
            logs = "\n".join(f"{f.name}: {f.read_text()[-2000:]}" for f in where.glob("*.out"))
            raise RuntimeError(f"SLURM did not start here:\n{logs}")
        time.sleep(0.2)


def _free_ports(n: int) -> list[int]:
    sockets = [socket.socket() for _ in range(n)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
