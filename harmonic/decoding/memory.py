"""How many tokens a batch may hold: as many as the settings say, and fewer only if the memory is too small.

The batches decide how numbers are rounded (harmonic.decoding.decoder), so they must not depend on how much memory
happens to be free.
"""

from __future__ import annotations

import logging
from typing import Any

logger = logging.getLogger(__name__)

_SHARE = 0.5  # of the free memory, for a batch's cache; the rest is for the forward pass and for other jobs


def affordable_tokens(wanted: int, token_bytes: int, device: Any) -> int:
    """`wanted`, halved until so many tokens fit into half of the free memory of this torch device.

    Halved, not cut to what fits, so that a little more or less free memory seldom makes a difference.
    token_bytes: bytes of a token in the cache.
    """
    room = _free_bytes(device) * _SHARE
    while wanted > 1 and wanted * token_bytes > room:
        wanted = -(-wanted // 2)
    return wanted


def warn_of_fewer(held: int, wanted: int) -> None:
    """Warn if batches are smaller than the settings say."""
    if held < wanted:
        logger.warning(
            "the free memory holds batches of %d tokens, not of generator.sampling.batch_tokens=%d: the rows may "
            "differ from those of a machine with more memory\n  fix: free some memory and start again, or set "
            "generator.sampling.batch_tokens=%d on both machines",
            held, wanted, held,
        )  # fmt: skip


def _free_bytes(device: Any) -> int:
    import psutil
    import torch

    if torch.device(device).type == "cuda":
        # What earlier batches have freed PyTorch keeps: the driver does not call it free, but the next batch gets it.
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + kept
    return int(psutil.virtual_memory().available)
