"""Runs a task in another Python environment: a subprocess, with rows in Parquet files and everything else in JSON.

`make peer-NAME` creates an environment in the folder .peers/NAME of the checkout or, if HARMONIC_PEERS is set, in NAME
below that folder. The code that runs there is a file in baselines/environments/scripts, which does not import harmonic.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, Any

from harmonic.errors import ConfigError, HarmonicError
from harmonic.peak_memory import count_process
from harmonic.progress import Progress

logger = logging.getLogger(__name__)

SCRIPTS = Path(__file__).resolve().parent / "scripts"
_KEPT = 40  # last lines of its output that are logged if it fails
_PATIENCE = 10.0  # seconds to end after it was asked to


class ForeignError(HarmonicError):
    """A task failed in another environment."""


def folder() -> Path:
    """The folder with the environments."""
    given = os.environ.get("HARMONIC_PEERS")
    return Path(given).expanduser() if given else Path(__file__).resolve().parents[2] / ".peers"


def python_of(name: str) -> Path:
    """The environment's Python. Raises ConfigError, which says how to create it, if there is none."""
    scripts, program = ("Scripts", "python.exe") if sys.platform == "win32" else ("bin", "python")
    python = folder() / name / scripts / program
    if not python.is_file():
        made = sorted(path.name for path in folder().glob("*") if (path / scripts / program).is_file())
        problem = f"there is no such environment in {folder()}" + (f"; there are: {', '.join(made)}" if made else "")
        fix = f"make peer-{name}, in a checkout (HARMONIC_PEERS, if set, is the folder for it)"
        raise ConfigError("generator.environment", name, problem, fix)
    return python


def ask(name: str, script: str, request: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The result of the request, by the script in that environment; `progress` shows its progress.

    Ends the subprocess if this one is interrupted. Raises ForeignError with the error from there.
    """
    command = [str(python_of(name)), "-E", "-s", str(SCRIPTS / "answer.py"), str(SCRIPTS / script)]
    with TemporaryDirectory(prefix="harmonic-") as place, TemporaryFile() as printed:
        file = Path(place) / "request.json"
        file.write_text(json.dumps(request), encoding="utf-8")
        process = subprocess.Popen(
            [*command, str(file)],
            cwd=place,  # what libraries leave about is gone afterwards
            env=os.environ | {"PYTHONHASHSEED": "0", "TOKENIZERS_PARALLELISM": "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=printed,
            text=True,
            encoding="utf-8",
            start_new_session=True,  # Ctrl-C reaches this process alone, and it ends that one
        )
        try:
            answer = _listen(process, progress)
            process.wait()
        finally:
            _end(process)
        if "result" not in answer:
            _log_end(printed, name)
            error = answer.get("error") or f"it ended without an answer (exit status {process.returncode})"
            raise ForeignError(f"generator.environment={name}: {error}")
        count_process(round(float(answer.get("peak_mb") or 0.0), 1))
        found: dict[str, Any] = answer["result"]
        return found


def _listen(process: subprocess.Popen[str], progress: Progress) -> dict[str, Any]:
    """The last message, with the result or the error; {} if none came."""
    assert process.stdout is not None
    for line in process.stdout:
        message: dict[str, Any] = json.loads(line)
        if "done" not in message:
            return message
        progress.total = message["total"]
        progress.note(**message["notes"])
        progress.advance(message["done"] - progress.done)
    return {}


def _end(process: subprocess.Popen[str]) -> None:
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _log_end(printed: IO[bytes], name: str) -> None:
    printed.seek(0)
    lines = printed.read().decode("utf-8", errors="replace").splitlines()
    logger.info("the last lines that %s printed:\n%s", name, "\n".join(lines[-_KEPT:]))
