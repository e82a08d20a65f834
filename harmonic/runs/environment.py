"""The environment of a run: package versions, the machine, and the revision of the checkout."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from harmonic.peak_memory import used_cuda

CHECKOUT = Path(__file__).resolve().parents[2]

PACKAGES = (
    "accelerate", "arfpy", "be-great", "catboost", "datasets", "ForestDiffusion", "hydra-core", "imbalanced-learn",
    "numpy", "omegaconf", "pandas", "peft", "pgmpy", "realtabformer", "schneiderkamplab-synthcity", "scikit-learn",
    "sdmetrics", "torch", "transformers", "trl", "wandb", "xgboost",
)  # fmt: skip
"""Results may depend on the versions of these. Those that are not installed are left out of the report."""


@functools.cache
def versions() -> dict[str, str]:
    """Versions of Python and of the installed PACKAGES, without importing them."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def gpu() -> str | None:
    """The name of the GPU that this process has used; None if it has used none so far."""
    cuda = used_cuda()
    return str(cuda.get_device_name()) if cuda else None


@functools.cache
def machine() -> dict[str, Any]:
    """{"system", "cpu", "cores", "memory_gb"} of this machine. "cores" are those that this process may use."""
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found: dict[str, Any] = {"system": platform.system(), "cpu": _processor(), "cores": cores}
    found["memory_gb"] = round(psutil.virtual_memory().total / 2**30)
    return found


def _processor() -> str:
    """The processor's name; its architecture where the system does not tell."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def git(checkout: Path = CHECKOUT) -> dict[str, Any] | None:
    """{"revision", "dirty"} of the project's checkout; None if it is not one, or if git fails."""

    def ask(*arguments: str) -> str:
        command = ["git", "-C", str(checkout), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        if Path(ask("rev-parse", "--show-toplevel")).resolve() != checkout.resolve():
            return None  # installed inside the checkout of another project
        return {"revision": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError, UnicodeError):
        return None
