"""Membership by shadow models: how do synthetic rows differ if a row was learnt, and if it was not?

Shokri et al. 2017 (arXiv 1610.05820). Each candidate is compared with its own scores under other models (Carlini et al.
2022, arXiv 2112.03570), and a classifier combines the scores of several attacks (as entries to the MIDST challenge,
SaTML 2025, do). The scores against each model's rows are standardised separately.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harmonic.randomness import derive

Scores = NDArray[np.float64]
"""The scores of each candidate by each attack, (candidates, attacks)."""


def halves(candidates: int, models: int, seed: int) -> NDArray[np.bool_]:
    """Which candidates each shadow model learns from, (models, candidates): each candidate is in one of every two.

    `models` is even. If the number of candidates is odd, the first of two models gets one less.
    """
    draw, chosen = np.random.default_rng(derive(seed, "shadow halves")), np.zeros((models, candidates), dtype=bool)
    for pair in range(models // 2):
        chosen[2 * pair, draw.permutation(candidates)[: candidates // 2]] = True
        chosen[2 * pair + 1] = ~chosen[2 * pair]
    return chosen


def shadow_attack(target: Scores, shadows: NDArray[np.float64], learnt: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Log-odds that each candidate was learnt by the model under attack, (candidates,).

    `target` are the scores against its rows, `shadows` (models, candidates, attacks) those against the rows of the
    shadow models, and `learnt` (models, candidates) says which candidates these learnt from. A logistic regression is
    trained on all shadow models. Its features are each attack's score, and the same minus the candidate's mean score
    over the other models that did not learn from it.
    """
    from sklearn.linear_model import LogisticRegression

    target, shadows = _standardised(target), np.stack([_standardised(scores) for scores in shadows])
    out = ~learnt[:, :, None]
    total, count = (shadows * out).sum(axis=0), out.sum(axis=0)
    others = (total - shadows * out) / np.maximum(count - out, 1)  # (models, candidates, attacks), itself left out
    known = np.concatenate([shadows, shadows - others], axis=2).reshape(learnt.size, -1)
    asked = np.concatenate([target, target - total / np.maximum(count, 1)], axis=1)
    model = LogisticRegression(max_iter=2000).fit(known, learnt.ravel())
    return np.asarray(model.decision_function(asked))


def _standardised(scores: Scores) -> Scores:
    """Each attack's scores with mean 0 and standard deviation 1; all 0 if they are equal."""
    spread = scores.std(axis=0)
    return (scores - scores.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
