"""A Slurm cluster of this machine alone, with accounting, from the programs of Debian's packages; for slow tests.

    apt-get install munge slurmctld slurmd slurm-client slurmdbd slurm-wlm-mysql-plugin mariadb-server

All files are in one folder, all ports are free ones, and every program that is started is ended again. Without cgroups:
processes are tracked by their groups. `python tests/helpers/one_node_slurm.py FOLDER` keeps one up until Enter.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "slurmdbd", "sbatch", "srun", "sacct", "mariadbd", "mariadb-install-db")
SYSTEM = "/usr/sbin:/sbin"

CLUSTER = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPort={controller}
SlurmdPort={worker}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=1,sched_interval=2,bf_interval=2
MpiDefault=none
MailProg=/bin/true
ReturnToService=2
KillWait=2
MinJobAge=300
JobRequeue=1
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePass={folder}/munge.socket
AccountingStoragePort={accounting}
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverTimeLimit=0
"""
ACCOUNTING = """
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdHost={host}
DbdAddr=127.0.0.1
DbdPort={accounting}
SlurmUser={user}
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=root
StorageLoc=accounting
PidFile={folder}/slurmdbd.pid
"""


def missing() -> str | None:
    """Why no cluster can be started here, or None."""
    os.environ["PATH"] = ":".join(dict.fromkeys([*os.environ["PATH"].split(":"), *SYSTEM.split(":")]))
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"not installed: {', '.join(absent)}"
    return "slurmd must be started by root" if os.getuid() else None


@contextmanager
def one_node_slurm(folder: Path) -> Iterator[None]:
    """A cluster in this context; the commands of Slurm find it by the environment variable SLURM_CONF."""
    folder.mkdir(parents=True, exist_ok=True)
    names = ("controller", "worker", "accounting", "database")
    given = {"folder": str(folder), "user": "root", "host": socket.gethostname()} | dict(
        zip(names, _ports(), strict=True)
    )
    for name in ("state", "spool", "database"):
        (folder / name).mkdir()
    (folder / "slurm.conf").write_text(CLUSTER.format(**given))
    for name, content in (
        ("slurmdbd.conf", ACCOUNTING.format(**given).encode()),
        ("munge.key", secrets.token_bytes(128)),
    ):
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
    try:
        with ExitStack() as running:
            _start(folder, given, running)
            yield
    finally:
        os.environ.pop("SLURM_CONF")
        if before is not None:
            os.environ["SLURM_CONF"] = before


def _start(folder: Path, given: dict[str, str], running: ExitStack) -> None:
    """One program after the other, each once the one before answers."""

    def program(*words: str, ready: Callable[[], bool]) -> None:
        log = running.enter_context(open(folder / f"{words[0]}.log", "w"))
        process = subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        running.callback(_end, process)
        deadline = time.monotonic() + 120
        while not ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{words[0]} did not start:\n{(folder / f'{words[0]}.log').read_text()[-3000:]}")
            time.sleep(0.2)

    munge = [f"--{name}={folder}/munge.{end}" for name, end in (
        ("socket", "socket"), ("key-file", "key"), ("pid-file", "pid"), ("seed-file", "seed"), ("log-file", "log"),
    )]  # fmt: skip
    program("munged", "--force", "--foreground", *munge, ready=(folder / "munge.socket").exists)
    data = f"--datadir={folder}/database"
    _told(
        "mariadb-install-db",
        "--no-defaults",
        data,
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--user=root",
    )
    program(
        "mariadbd", "--no-defaults", data, "--user=root", "--skip-grant-tables", "--bind-address=127.0.0.1",
        f"--port={given['database']}", f"--socket={folder}/database.socket", f"--pid-file={folder}/database.pid",
        ready=lambda: _answers(given["database"]),
    )  # fmt: skip
    program("slurmdbd", "-D", ready=lambda: _answers(given["accounting"]))
    program("slurmctld", "-D", "-i", ready=lambda: _answers(given["controller"]))
    program("slurmd", "-D", "-N", given["host"], ready=lambda: "idle" in _told("sinfo", "--noheader", "--format=%T"))


def _ports() -> list[str]:
    with ExitStack() as open_ones:
        found = [open_ones.enter_context(socket.socket()) for _ in range(4)]
        for one in found:
            one.bind(("127.0.0.1", 0))
        return [str(one.getsockname()[1]) for one in found]


def _answers(port: str) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", int(port))) == 0


def _told(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


if __name__ == "__main__":
    if (why := missing()) is not None:
        sys.exit(why)
    with one_node_slurm(Path(sys.argv[1]).absolute()):
        print(f"export SLURM_CONF={os.environ['SLURM_CONF']}", flush=True)
        sys.stdin.readline()
