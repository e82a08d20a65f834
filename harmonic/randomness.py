"""One rule for seeds: each random draw has a name, `derive(seed, "name")`, and no two draws share a name.

So all draws from a run's seed are independent, in whatever order they come. `default_rng(seed)` in two places would
give both the same numbers. A test finds seeds that are used directly, and names that are used twice.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside this context, Python, NumPy and torch draw from `seed`; afterwards they continue as if it had not been.

    For libraries that use global random state. The seed may be any integer; NumPy's global state takes it mod 2**32.
    """
    import torch

    before = random.getstate(), np.random.get_state(), torch.random.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)
        torch.manual_seed(seed)
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.random.set_rng_state(before[2])
        if cuda:
            torch.cuda.set_rng_state_all(cuda)


@contextmanager
def fixed_order(device: str) -> Iterator[None]:
    """Inside this context a GPU adds gradients in a fixed order, so that a seed gives the same numbers again.

    Attention's fastest backward passes add in the order in which their threads finish. On a CPU nothing changes.
    """
    import torch

    if device == "cpu":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or torch refuses matrix products
    deterministic: Any = torch.utils.deterministic
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filled = deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True)
    deterministic.fill_uninitialized_memory = False  # it takes time, and no memory is read before it is written
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        deterministic.fill_uninitialized_memory = filled


def derive(seed: int, *parts: int | str) -> int:
    """A seed for one purpose, in [0, 2**31): independent for different parts, and the same on every machine."""
    named = [int(part) if isinstance(part, (int, np.integer)) else part for part in (seed, *parts)]
    return int.from_bytes(hashlib.sha256(repr(named).encode()).digest()[:4]) >> 1
