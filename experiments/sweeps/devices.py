"""One GPU for each process, for sweeps that run several jobs at once on a machine with several GPUs."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import Any

logger = logging.getLogger(__name__)

_held: list[Any] = []  # the lock of this process's GPU, kept until the process ends


def claim_gpu() -> None:
    """If HARMONIC_ONE_GPU is 1 (conf/launcher/joblib.yaml), give this process one GPU that no other has claimed.

    Sets CUDA_VISIBLE_DEVICES; call it before CUDA is used. A process that runs several jobs keeps its GPU. If there are
    more processes than GPUs, the last ones share.
    """
    if os.environ.get("HARMONIC_ONE_GPU") != "1" or _held:
        return
    visible = visible_gpus()
    if len(visible) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = claimed = claim(visible, Path(gettempdir()))
        logger.info("this process uses GPU %s", claimed)


def claim(gpus: Sequence[str], folder: Path) -> str:
    """The first GPU that no other process has claimed in `folder`; if all are claimed, one by process number."""
    from filelock import FileLock, Timeout

    for gpu in gpus:
        lock = FileLock(folder / f"harmonic-gpu-{gpu.replace('/', '-')}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        _held.append(lock)
        return gpu
    return gpus[os.getpid() % len(gpus)]


def visible_gpus() -> list[str]:
    """The GPUs that this process may use: those in CUDA_VISIBLE_DEVICES, or all of the machine."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [gpu for gpu in named.split(",") if gpu]
    import torch

    return [str(gpu) for gpu in range(torch.cuda.device_count())]
