"""The rows of sampling prompts as the published code chooses them, so that prompts equal the published files.

It uses seed + place, so prompt 1 of seed 0 shows the same rows as prompt 0 of seed 1. Our own draws never do this.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def published_rows(rows: NDArray[np.int64], k: int, seed: int, place: int) -> NDArray[np.int64]:
    """The k rows of prompt number `place`, (k,): those of `DataFrame.sample(n=k, random_state=seed + place)`."""
    return np.random.RandomState(seed + place).choice(rows, size=k, replace=False)
