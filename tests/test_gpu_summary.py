"""The summary of `make check-gpu` says what ran, what failed, and what was not run and why."""

from __future__ import annotations

from gpu_summary import Outcome, summary


def test_every_outcome_is_told_and_a_cpu_is_not_taken_for_a_gpu() -> None:
    outcomes = [
        Outcome("drawing", seconds=1.25, figures=[("peak MiB", 120), ("rows", 64)]),
        Outcome("split | two GPUs", "skipped", "needs two GPUs, and there is one"),
        Outcome("tuning", "failed", "assert 1 == 2\nmore"),
    ]
    text = summary(outcomes, "cpu")
    assert "1 paths ran, 1 failed, 1 were not run" in text
    assert "| drawing | 1.2 | peak MiB 120; rows 64 |" in text
    assert "| split \\| two GPUs | needs two GPUs, and there is one |" in text
    assert "| tuning | assert 1 == 2 more |" in text
    assert "On the CPU" in text and "torch " in text
    assert "| failed |" not in summary(outcomes[:2], "cpu")
