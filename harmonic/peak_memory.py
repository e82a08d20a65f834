"""Peak memory: of this process, and of other processes that worked for it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

_others = 0.0  # MiB: the most that a process which worked for this one held


def reset_peaks() -> None:
    """Start a new measurement of `peaks`, if the system can: resident memory on Linux, and the GPU's with CUDA."""
    global _others
    _others = 0.0
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): reset the peak resident set size
    except OSError:
        pass
    if cuda := used_cuda():
        cuda.reset_peak_memory_stats()


def peaks() -> dict[str, float]:
    """Peak memory in MiB: resident, and allocated by PyTorch on the GPU if this process uses it.

    Resident memory is that of this process or of the largest of `count_process`, whichever is more.
    """
    found = {"peak_rss_mb": max(round(_peak_resident() / 2**20, 1), _others)}
    if cuda := used_cuda():
        found["peak_gpu_mb"] = round(cuda.max_memory_allocated() / 2**20, 1)
    return found


def count_process(peak_mb: float) -> None:
    """Take the peak of another process, in MiB, into this measurement."""
    global _others
    _others = max(_others, peak_mb)


def used_cuda() -> Any:
    """torch.cuda if this process uses a GPU, else None."""
    torch = sys.modules.get("torch")  # only if it is imported already
    return torch.cuda if torch is not None and torch.cuda.is_available() and torch.cuda.is_initialized() else None


def _peak_resident() -> int:
    """In bytes. On Linux, getrusage includes the parent's memory, so VmHWM is read instead."""
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
