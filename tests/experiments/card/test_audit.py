"""The audit: one command takes generators through every measure of privacy and prints their cards."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
SMOKE = ["tracker=off", "data_dir=null", "scale=smoke", "llm=tiny"]


def audit(output: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "experiments.run", "-m", "experiment=audit", *SMOKE, f"output_dir={output}"]
    return subprocess.run(
        [*command, *overrides], capture_output=True, text=True, cwd=ROOT, env=environment, check=False
    )


def test_an_audit_ends_with_the_cards_of_its_runs_also_of_those_done_before(tmp_path: Path) -> None:
    given = ("generator=copy,holdout", "n_samples=null", "evaluator.membership_inference.attacks=[dcr,levatt]")
    for summary in ("sweep: 2 done\n", "sweep: 2 done before\n"):
        done = audit(tmp_path, *given)
        assert done.returncode == 0, done.stderr[-3000:]
        assert summary in done.stdout
        _, copy, holdout = done.stdout.split("# Privacy card: ")
        assert copy.startswith("copy on diabetes") and holdout.startswith("holdout on diabetes")
        assert "Differential privacy with an epsilon below" in copy and "No epsilon of differential" in holdout
        assert "in 100% of pairs" in copy and "491 of 511 synthetic rows match a training row" in copy
        assert "Planted rows can be recognized by the closest synthetic row" in copy
        assert "None of the 511 synthetic rows matches a training row" in holdout
        assert "No attack was better than guessing" in holdout and "# Side by side" in holdout


@pytest.mark.slow
def test_the_audit_runs_whole_at_smoke_scale(tmp_path: Path) -> None:
    done = audit(tmp_path, "n_samples=12")
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("# Privacy card: ") == 6
    harmonic = done.stdout.split("# Privacy card: harmonic")[1].split("# Privacy card: ")[0]
    for name in ("loss", "min_k", "prompt_copy/rows", "dlt_holdout", "canary/auc"):
        assert f"| {name} |" in harmonic
