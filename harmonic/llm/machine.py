"""What this process runs on: how many processes work together, and which types the CPU computes in."""

from __future__ import annotations

import os


def processes() -> int:
    """How many processes `accelerate launch` or `torchrun` started."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def rank() -> int:
    """Which of all processes this one is. Process 0 writes the files."""
    return int(os.environ.get("RANK") or 0)


def local_rank() -> int:
    """Which of this machine's processes this one is; it uses the GPU of that number."""
    return int(os.environ.get("LOCAL_RANK") or 0)


def cpu_computes_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 matrices in hardware (AVX512-BF16 or AMX)."""
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    return capability.startswith("AVX512") and torch.ops.mkldnn._is_mkldnn_bf16_supported()
