"""A grid that is killed goes on where it was: every run in the end, no adapter tuned twice, tables and a page of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
GRID = [
    "generator=marginals,harmonic,smote,harmonic_no_filter", "dataset=diabetes,german", "seed=0,1", "llm=tiny",
    "evaluator=[fidelity,privacy]", "scale=smoke", "tracker=off", "data_dir=null",
]  # fmt: skip
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def killed(command: list[str], output: Path, runs: int) -> None:
    """Start the command, and kill it while it works on the run after so many are done."""
    process = subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    try:
        while process.poll() is None and len(list(output.rglob("DONE"))) < runs:
            time.sleep(0.1)
        assert process.poll() is None, "it ended before it could be killed"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.slow
def test_a_grid_killed_twice_is_resumed_to_its_tables_and_its_page(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.run", "-m", *GRID, f"output_dir={tmp_path}"]
    for runs in (6, 10):
        killed(command, tmp_path, runs)
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    (summary,) = re.findall(r"sweep: (\d+) done, (\d+) done before", done.stdout)
    assert int(summary[0]) + int(summary[1]) == 16 and int(summary[1]) >= 10
    assert len(list(tmp_path.rglob("DONE"))) == 16
    again = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True, check=True)
    assert "sweep: 16 done before" in again.stdout

    adapters = list(tmp_path.glob("cache/fit/*/adapter/adapter_model.safetensors"))
    logs = [path.read_text() for path in tmp_path.glob("runs/*/harmonic*/*/run.log")]
    tuned = sum(len(re.findall(r"harmonic\.progress: fit: 8 of 8 rows", log)) for log in logs)
    assert len(adapters) == len(logs) == tuned == 8  # two methods, datasets and seeds

    report = [sys.executable, "-m", "experiments.report.command", str(tmp_path)]
    subprocess.run(report, cwd=ROOT, env=ENVIRONMENT, capture_output=True, check=True)
    wide = pd.read_csv(tmp_path / "report" / "runs_wide.csv")
    assert len(wide) == 16 and wide["column_shapes"].notna().all() and wide["nrs"].notna().all()
    tables, page = ((tmp_path / "report" / name).read_text() for name in ("tables.md", "report.html"))
    for name in ("marginals", "harmonic", "smote", "harmonic_no_filter", "diabetes", "german"):
        assert name in tables and name in page
