"""Membership by likelihood: how likely is the candidate under the tuned language model?

Both attacks need the model and not only its rows: they are for an audit by the model's owner.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TokenLosses = Sequence[NDArray[np.float64]]
"""For each row, the negative log-likelihoods of its tokens, nats."""


def calibrated_loss(tuned: TokenLosses, base: TokenLosses) -> NDArray[np.float64]:
    """How much tuning lowered the row's mean loss, (n,), nats per token.

    The base model says how hard the row is without tuning (Carlini et al. 2021, arXiv 2012.07805; Mireshghallah et al.
    2022, arXiv 2203.03929).
    """
    return np.array([before.mean() - after.mean() for after, before in zip(tuned, base, strict=True)])


def min_k(tuned: TokenLosses, share: float = 0.2) -> NDArray[np.float64]:
    """Mean log-likelihood of the least likely `share` of a row's tokens, at least one, (n,), nats.

    Min-K% Prob, Shi et al. 2024 (arXiv 2310.16789): a row seen in training has few surprising tokens.
    """
    return np.array([-np.sort(losses)[-max(1, int(share * len(losses))) :].mean() for losses in tuned])
