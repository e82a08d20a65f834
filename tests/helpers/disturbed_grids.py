"""Grids that are killed at random moments, resumed, and compared with a grid that was left alone.

    python tests/helpers/disturbed_grids.py local 15 --folder /tmp/kills

Each kill comes at a random moment of an undisturbed grid's duration, so imports, the configuration and the moments
between jobs have their share. After THROWS of them the grid runs to its end, and once more.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from one_node_slurm import missing, one_node_slurm

ROOT = Path(__file__).resolve().parents[2]
THROWS = 6
GRID = [
    "generator=smote,marginals,holdout,harmonic", "seed=0", "llm=tiny", "scale=smoke", "tracker=off", "data_dir=null",
    "evaluator=fidelity", "summary=short",
]  # fmt: skip
JOBS = 4
LAUNCHERS = {
    "local": [],
    "joblib": ["launcher=joblib"],
    "ray": ["launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"],
    "slurm": [
        "launcher=slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.gpus_per_node=null",
        "hydra.launcher.mem_gb=2", "hydra.launcher.timeout_min=15", "hydra.launcher.array_parallelism=2",
    ],
}  # fmt: skip
COMPARED = ("status", "data", "rows", "rules", "metrics", "unavailable", "notes", "validity", "stage_versions")


def command(output: Path, launcher: str = "local", *more: str, python: str = sys.executable) -> list[str]:
    return [python, "-m", "experiments.run", "-m", *GRID, *LAUNCHERS[launcher], f"output_dir={output}", *more]


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": str(ROOT)}


def ended(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)


def results(output: Path) -> dict[str, Any]:
    """What two grids must have in common: for each run what its report says, and for each stage the cached result."""
    found: dict[str, Any] = {}
    for path in sorted(output.glob("runs/*/*/*/report.json")):
        report = json.loads(path.read_text(encoding="utf-8"))
        keys = {name: stage.get("key") for name, stage in report["stages"].items()}
        rows = (path.parent / "synthetic.csv").read_bytes() if (path.parent / "synthetic.csv").is_file() else b""
        kept = {name: report[name] for name in COMPARED}
        found[str(path.parent.relative_to(output))] = {**kept, "keys": keys, "rows written": rows}
    for path in sorted(output.glob("cache/*/*/entry.json")):
        entry = json.loads(path.read_text(encoding="utf-8"))
        # PEFT writes the names of modules in the order of a set, which is another one in each process.
        files = {name: file["sha256"] for name, file in entry["files"].items() if "adapter_config" not in name}
        found[str(path.parent.relative_to(output))] = files
    return found


def problems(output: Path, expected: dict[str, Any]) -> list[str]:
    """What a kill has spoilt in a grid that ran to its end afterwards; empty if nothing."""
    from harmonic.runs.cache import Cache
    from harmonic.runs.done_file import finished

    found, told = results(output), []
    told += [f"lost: {name}" for name in expected.keys() - found.keys()]
    told += [f"not expected: {name}" for name in found.keys() - expected.keys()]
    told += [
        f"other than undisturbed: {name}" for name in expected.keys() & found.keys() if found[name] != expected[name]
    ]
    told += [f"not done: {path}" for path in output.glob("runs/*/*/*") if not finished(path)]
    cache = Cache(output)
    for entry in cache.entries():
        if cache.find(entry.stage, entry.inputs) is None:
            told.append(f"damaged: {entry.path}")
    for path in output.rglob("*"):
        if re.search(r"\.(partial|damaged-\d+|replaced|incoming|outgoing|held)$", path.name):
            told.append(f"left behind: {path}")
    for path in output.glob("runs/*/*/*/run.log"):
        built = Counter(re.findall(r"harmonic\.runs\.run: (\w+): [\d.]+ s$", path.read_text(), re.MULTILINE))
        told += [f"twice: {stage} in {path.parent}" for stage, times in built.items() if times > 1]
    return told


@dataclass
class Tally:
    """What came of the kills of one launcher."""

    kills: int = 0
    grids: int = 0
    at: Counter[str] = field(default_factory=Counter)
    of: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    cpu: float = 0.0


def kill_often(launcher: str, kills: int, seed: int, folder: Path, python: str = sys.executable) -> Tally:
    """So many kills of grids with this launcher, at moments that the seed decides."""
    random_ = random.Random(f"{launcher} {seed}")
    tally = Tally()
    began = time.monotonic()
    whole = ended(command(folder / "undisturbed", launcher, python=python))
    duration = time.monotonic() - began
    assert whole.returncode == 0, whole.stdout[-2000:] + whole.stderr[-2000:]
    expected = results(folder / "undisturbed")
    assert len([name for name in expected if name.startswith("runs/")]) == JOBS
    while tally.kills < kills:
        output = folder / f"{launcher}-{seed}-{tally.grids}"
        for _ in range(min(THROWS, kills - tally.kills)):
            _throw(
                launcher, command(output, launcher, python=python), output, random_.uniform(0, duration), random_, tally
            )
        _finish(launcher, command(output, launcher, python=python), output, expected, tally)
        tally.grids += 1
    tally.cpu = sum(os.times()[2:4])
    return tally


def _throw(launcher: str, words: list[str], output: Path, moment: float, random_: random.Random, tally: Tally) -> None:
    """Start the grid and kill it, or one process of it, at the moment; nothing is counted if it ends before."""
    with open(os.devnull, "w") as nowhere:
        process = subprocess.Popen(
            words, cwd=ROOT, env=environment(), stdout=nowhere, stderr=nowhere, start_new_session=True
        )
        try:
            process.wait(timeout=moment)
            return
        except subprocess.TimeoutExpired:
            pass
        workers = [] if launcher == "local" else _workers(process, output)
        at = _where(output)
        if workers and random_.random() < 0.6:
            victim = random_.choice(workers)
            _kill(victim)
            tally.of["a worker"] += 1
            process.wait()  # the others go on
        else:
            for one in [process, *_family(process)]:
                _kill(one)
            process.wait()
            tally.of["all" if launcher != "slurm" else "the command"] += 1
    tally.kills += 1
    tally.at[at] += 1
    print(f"{launcher} {tally.kills}: after {moment:.1f} s, {at}", flush=True)


def _finish(launcher: str, words: list[str], output: Path, expected: dict[str, Any], tally: Tally) -> None:
    last, again = ended(words), ended(words)
    for which, run in (("resumed", last), ("again", again)):
        if run.returncode:
            tally.told.append(f"{which} ended with {run.returncode}: {run.stdout[-1500:]}{run.stderr[-1500:]}")
    if f"sweep: {JOBS} done before" not in again.stdout:
        tally.told.append(f"not all are done before: {again.stdout[-500:]}")
    tally.told += [f"{output.name}: {one}" for one in problems(output, expected)]


def _family(process: subprocess.Popen[Any]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _workers(process: subprocess.Popen[Any], output: Path) -> list[psutil.Process]:
    """The processes that work on jobs: of a pool, of Ray, or started by Slurm for this grid."""
    if "launcher=slurm" in process.args:  # type: ignore[operator]
        return [one for one in psutil.process_iter() if is_of(one, "submitit.core._submit", str(output))]
    return [one for one in _family(process) if is_of(one, "loky.backend.popen_loky") or is_of(one, "ray::")]


def is_of(process: psutil.Process, *words: str) -> bool:
    """Whether all these words are on the command line of a process that is none of Slurm's own."""
    try:
        line = " ".join(process.cmdline())
        return all(word in line for word in words) and "srun" not in process.name() and "slurm" not in process.name()
    except psutil.Error:
        return False


def _kill(process: Any) -> None:
    try:
        os.kill(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _where(output: Path) -> str:
    """What the first job that runs is at; "no job" before the first and between two of them."""
    sweeps = sorted(output.glob("sweeps/*"))
    for path in sorted(sweeps[-1].glob("jobs/*.json")) if sweeps else []:
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if record["status"] == "running":
            folder = next(
                iter(output.glob(f"runs/*/{dict(w.partition('=')[::2] for w in record['overrides'])['generator']}/*")),
                None,
            )
            if folder is None or not (folder / "report.json").is_file():
                return "opening a run"
            done = json.loads((folder / "report.json").read_text(encoding="utf-8"))["stages"]
            left = [name for name in ("prompts", "fit", "sample", "evaluate_fidelity") if name not in done]
            return left[0] if left else "finishing"
    return "no job (imports, configuration)"


@contextmanager
def cluster(launcher: str, folder: Path) -> Iterator[None]:
    """A Slurm of this machine where it is wanted and none is up."""
    if launcher == "slurm" and "SLURM_CONF" not in os.environ:
        if (why := missing()) is not None:
            raise RuntimeError(why)
        with one_node_slurm(folder / "slurm"):
            yield
    else:
        with nullcontext():
            yield


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("launcher", choices=LAUNCHERS)
    options.add_argument("kills", type=int)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--folder", type=Path, required=True)
    options.add_argument("--python", default=sys.executable, help="of an environment that has the launcher")
    given = options.parse_args()
    folder = given.folder.absolute() / given.launcher
    folder.mkdir(parents=True)
    with cluster(given.launcher, folder):
        tally = kill_often(given.launcher, given.kills, given.seed, folder, given.python)
    print(f"{given.launcher}: {tally.kills} kills of {dict(tally.of)}, {tally.grids} grids, at {dict(tally.at)}")
    print(f"processor seconds: {tally.cpu:.0f}")
    print("\n".join(tally.told) or "nothing lost, nothing twice, nothing damaged, all as undisturbed")
    sys.exit(bool(tally.told))


if __name__ == "__main__":
    main()
