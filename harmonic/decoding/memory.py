"""How many tokens a batch may hold: as many as the settings say, fewer only where the memory does not hold them.

How rows are put into batches decides how their numbers are rounded (harmonic.decoding.decoder), so it must not follow
from what happens to be free on a machine.
"""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger(__name__)

_SHARE = 0.5  # of the free memory, for a batch's cache: the rest is for the pass itself, and for jobs beside this one


def affordable_tokens(wanted: int, token_bytes: int, device: Any) -> int:
    """`wanted`, halved until half of the memory that is free on this torch device holds so many tokens.

    Halved, not cut to what fits, so that a little more or less free memory seldom makes a difference.
    token_bytes: what a token takes in the cache.
    """
    room = _free_bytes(device) * _SHARE
    while wanted > 1 and wanted * token_bytes > room:
        wanted = -(-wanted // 2)
    return wanted


def warn_of_fewer(held: int, wanted: int) -> None:
    """Say that batches are smaller than the settings want them, and what that means."""
    if held < wanted:
        logger.warning(
            "the free memory holds batches of %d tokens, not of generator.sampling.batch_tokens=%d: the rows may "
            "differ from those of a machine with more memory\n  fix: free some memory and begin anew, or set "
            "generator.sampling.batch_tokens=%d on both machines",
            held, wanted, held,
        )  # fmt: skip


def _free_bytes(device: Any) -> int:
    import psutil
    import torch

    if torch.device(device).type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available)
