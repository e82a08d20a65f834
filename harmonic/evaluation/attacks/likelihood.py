"""Membership by likelihood: what the tuned language model itself thinks of the candidate.

Both need the model, not only its rows: an audit by its owner.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TokenLosses = Sequence[NDArray[np.float64]]
"""For each row, the negative log-likelihoods of its tokens, nats."""


def calibrated_loss(tuned: TokenLosses, base: TokenLosses) -> NDArray[np.float64]:
    """How far tuning took the row's mean loss down, (n,), nats per token.

    The base model says how hard the row is to anyone (Carlini et al. 2021, arXiv 2012.07805; Mireshghallah
    et al. 2022, arXiv 2203.03929).
    """
    return np.array([before.mean() - after.mean() for after, before in zip(tuned, base, strict=True)])


def min_k(tuned: TokenLosses, share: float = 0.2) -> NDArray[np.float64]:
    """Mean log-likelihood of the least likely `share` of a row's tokens, at least one, (n,), nats.

    Min-K% Prob, Shi et al. 2024 (arXiv 2310.16789): a row that was seen has few tokens that surprise.
    """
    return np.array([-np.sort(losses)[-max(1, int(share * len(losses))) :].mean() for losses in tuned])
