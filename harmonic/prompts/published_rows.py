"""The published code's draw of the rows that a sampling prompt shows, as it is: prompts then equal the published files.

By seed + place, which no draw of our own may be: prompt 1 of seed 0 shows the rows of prompt 0 of seed 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def published_rows(rows: NDArray[np.int64], k: int, seed: int, place: int) -> NDArray[np.int64]:
    """K of the rows for prompt number `place`: (k,), those of `DataFrame.sample(n=k, random_state=seed + place)`."""
    return np.random.RandomState(seed + place).choice(rows, size=k, replace=False)
