"""Locks, with flock and without it: one at a time, nobody waits for the dead, and who lost the lock learns of it."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import SoftFileLease

from harmonic import locks
from harmonic.errors import ConfigError, LockLostError
from harmonic.locks import locked, locked_if_free
from harmonic.runs.cache import Cache
from harmonic.runs.run import Run

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def first_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "_warned", set())


@pytest.fixture
def no_flock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As on NFS without a lock service; leases are short, so that tests are."""

    def refused(file: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refused)
    monkeypatch.setattr(locks, "LEASE", 1.0)
    monkeypatch.setattr(locks, "HEARTBEAT", 0.2)
    yield


@pytest.mark.parametrize("number", locks.NO_FLOCK)
def test_where_flock_fails_a_file_takes_its_place_and_the_log_says_so(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(file: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)
    for _ in range(2):
        with locked(tmp_path / "a.lock", "at work"):
            assert (tmp_path / "a.lock.held").is_file()
            with locked_if_free(tmp_path / "a.lock") as second:
                assert second is None
    assert not (tmp_path / "a.lock.held").exists()
    (warning,) = (record.getMessage() for record in caplog.records)
    assert str(tmp_path) in warning and os.strerror(number) in warning and "5 minutes" in warning


def test_another_error_of_the_disk_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(file: int, how: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(fcntl, "flock", failing)
    with pytest.raises(OSError, match="Input/output"), locked(tmp_path / "a.lock", "at work"):
        pass
    assert not (tmp_path / "a.lock.held").exists()


def test_files_alone_can_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARMONIC_LOCKS", "files")
    with locked(tmp_path / "a.lock", "at work"):
        assert (tmp_path / "a.lock.held").is_file() and not (tmp_path / "a.lock").exists()
    monkeypatch.setenv("HARMONIC_LOCKS", "file")
    with pytest.raises(ConfigError, match=r"HARMONIC_LOCKS=file: .*\n  fix: "), locked(tmp_path / "a.lock", "at work"):
        pass


def test_a_process_with_flock_waits_for_one_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARMONIC_LOCKS", "files")
    with locked(tmp_path / "a.lock", "at work"):
        monkeypatch.delenv("HARMONIC_LOCKS")
        with locked_if_free(tmp_path / "a.lock") as second:
            assert second is None
    with locked_if_free(tmp_path / "a.lock") as third:
        assert third is not None


HOLDING = """
import errno, fcntl, os, sys, time
from pathlib import Path
from harmonic import locks
def refused(file, how):
    raise OSError(errno.ENOLCK, "no locks")
fcntl.flock = refused
locks.LEASE, locks.HEARTBEAT = 1.0, 0.2
with locks.locked(Path(sys.argv[1]), "at work"):
    print(os.getpid(), flush=True)
    time.sleep(60)
"""


def holder(lock: Path, *before: str) -> subprocess.Popen[str]:
    """A process that holds the lock without flock."""
    command = [*before, sys.executable, "-c", HOLDING, str(lock)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def test_the_lock_of_a_killed_process_of_this_machine_is_free_at_once(
    tmp_path: Path, no_flock: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = holder(tmp_path / "a.lock")
    with locked_if_free(tmp_path / "a.lock") as held:
        assert held is None
    process.kill()
    process.communicate()
    started = time.monotonic()
    with locked(tmp_path / "a.lock", "at work"):
        assert time.monotonic() - started < 0.8, "no wait for the lease of a process that has ended"


def on_another_machine(lock: Path) -> Path:
    """The file of a holder whose machine cannot be asked whether it is alive."""
    marker = lock.with_name(f"{lock.name}.held")
    lease = SoftFileLease(marker, lease_duration=locks.LEASE, heartbeat_interval=locks.HEARTBEAT)
    with lease:
        text = marker.read_text()
    lines = [line.replace(os.uname().nodename, "elsewhere") for line in text.splitlines()]
    marker.write_text("\n".join(lines) + "\n")
    assert "elsewhere" in marker.read_text()
    return marker


def test_a_lock_of_another_machine_is_kept_while_it_is_renewed_and_free_afterwards(
    tmp_path: Path, no_flock: None
) -> None:
    marker = on_another_machine(tmp_path / "a.lock")
    for _ in range(8):  # longer than the lease
        os.utime(marker)
        time.sleep(0.2)
        with locked_if_free(tmp_path / "a.lock") as held:
            assert held is None
    started = time.monotonic()
    with locked(tmp_path / "a.lock", "at work"):
        assert 0.5 < time.monotonic() - started < 5


def test_clocks_of_machines_need_not_agree(tmp_path: Path, no_flock: None) -> None:
    """A file whose time lies a day back is no sign that its holder is gone; neither is one from tomorrow of life."""
    for hours in (-24, 24):
        marker = on_another_machine(tmp_path / f"{hours}.lock")
        at = time.time() + 3600 * hours
        os.utime(marker, (at, at))
        with locked_if_free(tmp_path / f"{hours}.lock") as held:
            assert held is None
        with locked(tmp_path / f"{hours}.lock", "at work"):
            pass


def taken_over(marker: Path) -> None:
    """What another machine does after it saw no sign of life for LEASE seconds."""
    text = marker.read_text()
    marker.unlink()
    marker.write_text(text.replace(os.uname().nodename, "elsewhere"))


def test_who_lost_the_lock_does_not_publish_an_entry(tmp_path: Path, no_flock: None) -> None:
    def build(folder: Path) -> None:
        (folder / "rows.csv").write_text("mine")
        taken_over(folder.with_name(f"{folder.name.removesuffix('.partial')}.lock.held"))

    with pytest.raises(LockLostError, match=r"another one took over its work\n  fix: nothing"):
        Cache(tmp_path).compute("fit", {"seed": 0}, build)
    assert Cache(tmp_path).entries() == []


def test_who_lost_the_lock_does_not_write_into_the_runs_folder(tmp_path: Path, no_flock: None) -> None:
    run = Run.open({"seed": 0}, tmp_path, "main", "german", "harmonic", 0)
    with pytest.raises(LockLostError), run:
        taken_over(run.folder / ".lock.held")
        run.finish({})
    assert json.loads((run.folder / "report.json").read_text())["status"] == "running", "of the other process"
    assert not (run.folder / "DONE").exists()


def test_threads_of_one_process_wait_for_each_other(tmp_path: Path, no_flock: None) -> None:
    log: list[str] = []

    def build(folder: Path) -> None:
        log.append("built")
        time.sleep(0.3)

    threads = [threading.Thread(target=Cache(tmp_path).compute, args=("fit", {}, build)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert log == ["built"]


APART = ("unshare", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c")
SAME_NUMBER = """
import sys, os
from pathlib import Path
from harmonic.runs.cache import Cache
from harmonic.runs.run import Run
from harmonic.storage import write_json
out = Path(sys.argv[1])
print(os.getpid(), flush=True)
sys.stdin.readline()
for number in range(200):
    Run.open({"seed": 0}, out, "main", "german", "harmonic", 0)
    write_json(out / "shared.json", {"number": number, "by": os.uname().nodename, "long": "x" * 5000})

def build(folder):
    with open(out / "builds", "a") as file:
        print(os.uname().nodename, file=file)
    (folder / "rows.csv").write_text("1")

Cache(out).compute("fit", {"seed": 0}, build)
print("well", flush=True)
"""


@pytest.mark.parametrize("kind", ["", "files"])
def test_processes_of_the_same_number_on_two_machines_do_not_meet(tmp_path: Path, kind: str) -> None:
    """Each process is alone in a namespace of its own, with another name of the machine: both have the same number."""
    tried = (
        subprocess.run([*APART, "hostname a"], capture_output=True, check=False) if sys.platform == "linux" else None
    )
    if tried is None or tried.returncode:
        pytest.skip("needs Linux and the right to make namespaces (root)")
    environment = {**os.environ, "HARMONIC_LOCKS": kind}
    processes = []
    for machine in ("north", "south"):
        script = f'hostname {machine}; exec "$0" -c "$1" "$2"'
        command = [*APART, script, sys.executable, SAME_NUMBER, str(tmp_path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes))  # type: ignore[call-overload]
    numbers = [process.stdout.readline() for process in processes]
    assert numbers[0] == numbers[1] != ""
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=60) for process in processes]
    assert [out for out, _ in ended] == ["well\n", "well\n"], ended
    assert len((tmp_path / "builds").read_text().splitlines()) == 1
    assert json.loads((tmp_path / "shared.json").read_text())["number"] == 199
    assert not [path for path in tmp_path.rglob("*") if ".incoming" in path.name or ".probe" in path.name]


ASKING = """
import sys
from pathlib import Path
from harmonic.locks import locked_if_free
with locked_if_free(Path(sys.argv[1])) as held:
    print("free" if held else "held")
"""
KEEPING = """
import sys
from pathlib import Path
from harmonic.locks import locked
with locked(Path(sys.argv[1]), "at work"):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def two_mounts(tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """One folder by two ways that do not tell each other of flock, as NFS mounts with local_lock=flock on two nodes."""
    behind, *ways = (tmp_path / name for name in ("behind", "north", "south"))
    for folder in (behind, *ways):
        folder.mkdir()
    mounted = []
    for way in ways:
        if shutil.which("bindfs") and not subprocess.run(["bindfs", behind, way], capture_output=True).returncode:
            mounted.append(way)
    try:
        if len(mounted) < 2:
            pytest.skip("needs bindfs (apt-get install bindfs) and the right to mount")
        yield ways[0], ways[1]
    finally:
        for way in mounted:
            subprocess.run(["umount", way], check=True)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "second"), [("", "free"), ("files", "held")])
def test_files_hold_where_flock_stays_within_one_machine(kind: str, second: str, two_mounts: tuple[Path, Path]) -> None:
    environment = {**os.environ, "HARMONIC_LOCKS": kind}
    places = [str(way / "a.lock") for way in two_mounts]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    command = [sys.executable, "-c", KEEPING, places[0]]
    keeper = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes)  # type: ignore[call-overload]
    assert keeper.stdout.readline() == "held\n"
    for place, told in zip(places, ("held", second), strict=True):
        asked = [sys.executable, "-c", ASKING, place]
        found = subprocess.run(asked, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        assert found.stdout == f"{told}\n"
    keeper.communicate("\n")
