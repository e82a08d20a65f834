"""Disks that fill up or turn read-only, and clocks that jump: what is said, and how the next start goes on."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from whole_runs import ROOT, WHOLE, environment

from experiments.run import run_log
from experiments.sweeps.records import recorded
from harmonic import storage
from harmonic.errors import ConfigError
from harmonic.runs.cache import Cache


def failing(folder: Path) -> None:
    raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534")


@pytest.mark.parametrize(("number", "fix"), [(28, "free some space there"), (1, "make the folder writable")])
def test_an_error_of_a_library_that_could_not_write_is_told_as_such(
    number: int, fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch and safetensors have errors of their own for it."""

    def refused(*_: Any, dir: Path, **__: Any) -> None:
        raise OSError(number, os.strerror(number), str(dir))

    with pytest.raises(RuntimeError):
        Cache(tmp_path).compute("fit", {}, failing)
    monkeypatch.setattr(storage, "NamedTemporaryFile", refused)
    with pytest.raises(ConfigError, match=rf"output_dir=.*{os.strerror(number)}.*\n  fix: {fix}"):
        Cache(tmp_path).compute("fit", {}, failing)


def test_a_file_that_may_not_be_written_is_told_only_if_it_is_ours(tmp_path: Path) -> None:
    def forbidden(path: Path) -> Any:
        def build(folder: Path) -> None:
            raise PermissionError(13, os.strerror(13), str(path))

        return build

    with pytest.raises(ConfigError, match="make the folder writable"):
        Cache(tmp_path / "out").compute("fit", {}, forbidden(tmp_path / "out" / "rows.csv"))
    with pytest.raises(PermissionError):
        Cache(tmp_path / "out").compute("fit", {}, forbidden(tmp_path / "mine.csv"))


def test_a_disk_that_turns_read_only_is_told_as_such(tmp_path: Path) -> None:
    def failing(folder: Path) -> None:
        raise OSError(30, os.strerror(30), str(folder / "rows.csv"))

    with pytest.raises(ConfigError, match=r"output_dir=.*Read-only file system.*\n  fix: make the folder writable"):
        Cache(tmp_path).compute("fit", {}, failing)


def test_a_log_that_takes_no_more_lines_is_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs a device that is always full")
    (tmp_path / "run.log").symlink_to("/dev/full")
    with run_log(tmp_path):
        for _ in range(3):
            logging.getLogger("harmonic").error("a line")
    printed = capsys.readouterr().err
    assert printed.count("run.log is not complete: [Errno 28]") == 1 and "Traceback" not in printed


def test_a_record_that_cannot_be_written_is_an_error_about_the_folder(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("in the way")
    with pytest.raises(ConfigError, match=r"output_dir=.*\n  fix: "), recorded(tmp_path, 0, ["seed=0"]):
        pytest.fail("a job that cannot be recorded must not begin")


def test_the_end_of_a_job_that_cannot_be_recorded_does_not_replace_its_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyboardInterrupt), recorded(tmp_path, 0, ["seed=0"]):
        shutil.rmtree(tmp_path / "jobs")
        raise KeyboardInterrupt
    assert "the end of job 0 could not be recorded" in caplog.text


# ---- whole runs, on a disk of their own


def command(output: Path) -> list[str]:
    words = [*WHOLE, "generator=harmonic", "seed=0", "evaluator=fidelity", f"output_dir={output}"]
    return [sys.executable, "-m", "experiments.run", *words]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system in memory."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=260m", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system (root)")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The rows of the run."""
    output = tmp_path_factory.mktemp("undisturbed")
    subprocess.run(command(output), cwd=ROOT, env=environment(), capture_output=True, check=True)
    return rows(output)


def rows(output: Path) -> bytes:
    (found,) = output.glob("runs/*/*/*/synthetic.csv")
    assert (found.parent / "DONE").is_file()
    return found.read_bytes()


def disturbed(output: Path, disturb: Callable[[], None], **variables: str) -> tuple[int, str]:
    """Start the run, and disturb it once its prompts are done. Returns its exit code and what it said."""
    began = subprocess.Popen(
        command(output), cwd=ROOT, env=environment() | variables, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    while began.poll() is None and "prompts" not in _stages(output):
        time.sleep(0.05)
    assert began.poll() is None, began.communicate()[0]
    disturb()
    said, _ = began.communicate(timeout=900)
    return began.returncode, said


def _stages(output: Path) -> dict[str, Any]:
    for path in output.glob("runs/*/*/*/report.json"):
        return dict(json.loads(path.read_text())["stages"])
    return {}


def resumed(output: Path) -> str:
    done = subprocess.run(command(output), cwd=ROOT, env=environment(), capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@pytest.mark.slow
def test_a_disk_that_fills_up_stops_the_run_and_the_next_start_goes_on(disk: Path, undisturbed: bytes) -> None:
    def fill() -> None:
        with pytest.raises(OSError, match="No space left"), open(disk / "filler", "wb") as file:
            while True:
                file.write(bytes(2**16))
                file.flush()

    code, said = disturbed(disk / "out", fill)
    assert code == 1 and "output_dir=" in said and "No space left on device" in said, said
    assert "fix: free some space there" in said and "Traceback" not in said
    (disk / "filler").unlink()
    assert "prompts: cached" in resumed(disk / "out")
    assert rows(disk / "out") == undisturbed


@pytest.mark.slow
def test_a_folder_that_may_not_be_written_any_more_stops_the_run_and_the_next_start_goes_on(
    tmp_path: Path, undisturbed: bytes
) -> None:
    """Files that nobody may change: a file system with open files cannot be made read-only."""

    def changed(how: str) -> int:
        return subprocess.run(["chattr", "-R", f"{how}i", str(tmp_path / "out")], capture_output=True).returncode

    (tmp_path / "out").mkdir()
    if shutil.which("chattr") is None or changed("+"):
        pytest.skip("needs chattr, a file system that knows it, and root")
    changed("-")
    try:
        code, said = disturbed(tmp_path / "out", lambda: changed("+") and None)
    finally:
        changed("-")
    assert code == 1 and "output_dir=" in said and "not permitted" in said, said
    assert "fix: make the folder writable" in said and "Traceback" not in said
    assert "prompts: cached" in resumed(tmp_path / "out")
    assert rows(tmp_path / "out") == undisturbed


@pytest.mark.slow
@pytest.mark.parametrize("jump", ["-3d", "+400d"])
def test_a_clock_that_jumps_changes_nothing(jump: str, tmp_path: Path, undisturbed: bytes) -> None:
    library = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
    if library is None:
        pytest.skip("needs libfaketime (apt-get install libfaketime)")
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    variables = {
        "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }  # fmt: skip
    code, said = disturbed(tmp_path / "out", lambda: clock.write_text(f"{jump}\n") and None, **variables)
    assert code == 0, said
    assert rows(tmp_path / "out") == undisturbed
    (path,) = (tmp_path / "out").glob("runs/*/*/*/report.json")
    stages = json.loads(path.read_text())["stages"]
    assert all(0 <= stage["seconds"] < 3600 for stage in stages.values()), stages
    assert "nothing to compute: this run is finished" in resumed(tmp_path / "out")
