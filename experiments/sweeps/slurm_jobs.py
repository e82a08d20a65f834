"""Waiting for a job of Slurm, also for one that Slurm has forgotten.

submitit asks the accounting of Slurm (sacct). Of a task of an array that was cancelled before it began, accounting has
no entry, so submitit would wait for ever. The queue (squeue) tells that it is gone.
"""

from __future__ import annotations

import subprocess
import time
from typing import Any

PAUSE = 10.0
"""Seconds between two looks at the queue."""
ABSENT = 9
"""A job that is in no queue in so many looks has ended; its result may reach a shared folder up to a minute later."""


class ForgottenError(Exception):
    """A job that is not in the queue of Slurm, and of which its accounting does not say how it ended."""


def await_job(job: Any) -> None:
    """Wait until submitit's job has ended. Raises ForgottenError."""
    absent, looked = 0, time.monotonic()
    while not job.done(force_check=absent > 0):
        if absent >= ABSENT:  # what submitit last heard of it may be that it is pending
            raise ForgottenError(
                f"Slurm's queue and accounting have forgotten job {job.job_id}: CANCELLED before it began?"
            )
        time.sleep(1)
        if time.monotonic() - looked >= PAUSE:
            absent, looked = (absent + 1 if _is_gone(job.job_id) else 0), time.monotonic()


def _is_gone(job_id: str) -> bool:
    """Whether the job is in no queue. False if Slurm does not answer."""
    words = ["squeue", "--noheader", "--array", "--format=%i", "--jobs", job_id]
    found = subprocess.run(words, capture_output=True, text=True, check=False)
    if found.returncode:
        return "Invalid job id" in found.stderr
    return not found.stdout.strip()
