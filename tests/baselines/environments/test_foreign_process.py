"""Another environment: what it is asked and answers, how its errors come back, and that it never outlives us.

The environment is this one, under another name; the scripts are made here.
"""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from baselines.environments import foreign_process
from baselines.environments.foreign_process import ForeignError, ask, python_of
from harmonic.errors import ConfigError
from harmonic.peak_memory import peaks, reset_peaks
from harmonic.progress import Progress

SCRIPT = """
import os, sys, time


def fit(*, tell, numbers, file):
    print("a library prints")
    os.write(1, b"and so does one that is written in C")
    for done, number in enumerate(numbers, 1):
        tell(done, len(numbers), loss=number)
    return {"sum": sum(numbers), "harmonic": any("harmonic" in path for path in sys.path), "place": os.getcwd()}


def fail(*, tell, **given):
    raise ValueError("column c3 is empty")


def hold(*, tell, megabytes):
    held = b"x" * (megabytes << 20)
    return {"held": len(held)}


def die(*, tell, **given):
    os._exit(7)


def wait(*, tell, file):
    open(file, "w").write(str(os.getpid()))
    tell(1, 2)
    time.sleep(60)
"""


@pytest.fixture
def place(scripts: Path) -> Path:
    """Where the script mine.py is, and anything else may be."""
    (scripts / "mine.py").write_text(SCRIPT, encoding="utf-8")
    return scripts.parent


def asked(task: str, **more: object) -> dict[str, object]:
    with Progress("fit", 1, "steps") as progress:
        answer = ask("mine", "mine.py", {"task": task, **more}, progress)
        assert progress.done == progress.total
    return answer


def test_the_answer_comes_back_and_nothing_else(
    place: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    answer = asked("fit", numbers=[1, 2, 3.5], file="")
    assert answer["sum"] == 6.5
    assert not Path(str(answer["place"])).exists()  # what was left there is gone
    assert capfd.readouterr() == ("", "")
    assert any(line.startswith("fit: 3 of 3 steps") and "loss 3.5" in line for line in caplog.messages)


def test_an_error_from_there_is_one_message(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with pytest.raises(ForeignError, match=r"^generator\.environment=mine: ValueError: column c3 is empty$"):
        asked("fail")
    assert "Traceback" in caplog.text and "in fail" in caplog.text


def test_a_process_that_dies_is_told_with_its_status(place: Path) -> None:
    with pytest.raises(ForeignError, match=r"ended without an answer \(exit status 7\)"):
        asked("die")


def test_an_interrupted_question_ends_the_process(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    file = place / "pid"
    with pytest.raises(KeyboardInterrupt), Progress("fit", 1, "steps") as progress:
        monkeypatch.setattr(progress, "advance", interrupt)  # as Ctrl-C would, when it has begun
        ask("mine", "mine.py", {"task": "wait", "file": str(file)}, progress)
    with pytest.raises(ProcessLookupError):
        os.kill(int(file.read_text()), 0)


def test_the_process_ends_with_one_that_is_killed(place: Path) -> None:
    file = place / "pid"
    code = (
        "from pathlib import Path\nfrom baselines.environments import foreign_process\n"
        "from harmonic.progress import Progress\n"
        f"foreign_process.SCRIPTS = Path({str(place / 'scripts')!r})\n"
        f"request = {{'task': 'wait', 'file': {str(file)!r}}}\n"
        "foreign_process.ask('mine', 'mine.py', request, Progress('fit', 1, 'steps'))"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).resolve().parents[3])
    _until(lambda: file.is_file() and file.read_text() != "")
    child = int(file.read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    _until(lambda: not Path(f"/proc/{child}").exists() or _is_zombie(child))


def _until(true: object, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.05)


def _is_zombie(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_missing_environment_names_the_target_that_makes_it(place: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)generator\.environment=other: .*there are: mine.*make peer-other"):
        python_of("other")


def test_every_environment_that_conf_names_can_be_made() -> None:
    root = Path(__file__).resolve().parents[3]
    named = {
        line.partition(":")[2].partition("#")[0].strip()
        for path in (root / "conf" / "generator").glob("*.yaml")
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("environment:")
    }
    assert named == {"tabularargn"}
    for name in named:
        assert (root / "baselines" / "environments" / "requirements" / f"{name}.txt").is_file()


def test_scripts_know_nothing_of_harmonic() -> None:
    paths = sorted(foreign_process.SCRIPTS.glob("*.py"))
    assert len(paths) > 1
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.partition(".")[0] in ("harmonic", "baselines", "experiments")]


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux starts a new measurement")
def test_the_memory_of_the_other_process_counts(place: Path) -> None:
    reset_peaks()
    own = peaks()["peak_rss_mb"]
    with Progress("fit", 1, "steps") as progress:
        ask("mine", "mine.py", {"task": "hold", "megabytes": int(own) + 200}, progress)
    assert own + 200 < peaks()["peak_rss_mb"] < own + 400
    reset_peaks()
    assert peaks()["peak_rss_mb"] < own + 100
