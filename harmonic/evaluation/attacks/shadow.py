"""Membership by shadow models: what do releases look like that a row had a part in, and those that it had none in?

Shokri et al. 2017 (arXiv 1610.05820) with the candidates' own scores as a reference, as Carlini et al. 2022 (arXiv
2112.03570) have it, and a classifier over the scores of several attacks, as the entries to the MIDST challenge (SaTML
2025) put them together. The scores of each release are standardised by themselves.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harmonic.randomness import derive

Scores = NDArray[np.float64]
"""Of every attack for every candidate, (candidates, attacks)."""


def halves(candidates: int, models: int, seed: int) -> NDArray[np.bool_]:
    """Which candidates each shadow model learns from, (models, candidates): each is in one of every two models.

    `models` is even; of an odd number of candidates the first of two models gets one less.
    """
    draw, chosen = np.random.default_rng(derive(seed, "shadow halves")), np.zeros((models, candidates), dtype=bool)
    for pair in range(models // 2):
        chosen[2 * pair, draw.permutation(candidates)[: candidates // 2]] = True
        chosen[2 * pair + 1] = ~chosen[2 * pair]
    return chosen


def shadow_attack(target: Scores, shadows: NDArray[np.float64], learnt: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Log-odds that each candidate is a member of the target release, (candidates,).

    `shadows` (models, candidates, attacks) are the scores against the shadow models' releases, `learnt` (models,
    candidates) says who was in. A logistic regression learns from all shadow models what tells those in from those
    out: each attack's score, and the same less the candidate's mean over the other models that it was out of.
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
    """Mean 0 and standard deviation 1 of each attack; one that says the same of all is 0."""
    spread = scores.std(axis=0)
    return (scores - scores.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
