"""Traces of training rows besides membership, in sentences: copies, memory, planted rows, guesses about a person."""

from __future__ import annotations

from collections.abc import Iterator
from math import log

from experiments.card.numbers import Report, measured, percent, setting
from experiments.card.sentence import Level, Sentence

UNSEEN_BITS = 1 / log(2)  # mean exposure of rows that were not planted (harmonic.evaluation.privacy.canary)
SIGNALS = {
    "model": "the model's likelihood",
    "lle": "a model tuned on the synthetic rows",
    "nearest": "the closest synthetic row",
}
GUESSES = {
    "singling_out": "singling a person out",
    "linkability": "linking two parts of a row",
    "inference": "guessing a column from the others",
}
GAINS = {
    "more": (Level.FOUND, "With the synthetic rows, this succeeds more often for training rows than for unseen rows:"),
    "same": (
        Level.NOTHING,
        "This succeeds no more often for training rows than for unseen rows, as far as the intervals show:",
    ),
    "weak": (Level.NOTHING, "These attacks were no better than blind guesses, too weak to show anything:"),
}


def copies(report: Report) -> Iterator[Sentence]:
    """How many of the synthetic rows match a training row."""
    new, rows = measured(report, "nrs"), report.get("rows", {}).get("synthetic")
    if new is None:
        return
    if new.value == 1:
        words = f"None of the {f'{rows:,} ' if rows else ''}synthetic rows matches a training row."
        yield Sentence(Level.NOTHING, words)
        return
    copied = f"{round((1 - new.value) * rows):,} of {rows:,}" if rows else f"{percent(1 - new.value)} of the"
    yield Sentence(
        Level.FOUND,
        f"{copied} synthetic rows match a training row (numbers to within "
        f"{setting(report, 'privacy', 'tolerance', 0.01):.0%}); in a table with few different rows, some do by chance.",
    )


def prompt_copies(report: Report) -> Iterator[Sentence]:
    """Whether rows, or numbers, are repeated from the prompt."""
    for kind, level, what in (("rows", Level.FOUND, "rows"), ("cells", Level.SIGN, "numbers")):
        found = measured(report, f"prompt_copy/{kind}")
        if found is None or found.low is None or found.high is None:
            continue
        if found.low > 0:
            yield Sentence(
                level,
                f"The generator repeats {what} of its prompts: {percent(found.value)} more than by chance"
                f"{found.interval(percent)}.",
            )
        else:
            yield Sentence(
                Level.NOTHING,
                f"The generator does not repeat {what} of its prompts more often than by chance, as far as the "
                f"interval shows (at most {percent(max(found.high, 0.0))} of them).",
            )


def memory(report: Report) -> Iterator[Sentence]:
    """Whether training rows are more likely under the model than unseen rows."""
    found = measured(report, "dlt_holdout")
    if found is None or found.low is None:
        return
    if found.low > 0:
        words = f"For the model, training rows are more likely than unseen rows (perplexity lower by {found})."
        yield Sentence(Level.FOUND, words)
    else:
        words = "For the model, training rows are no more likely than unseen rows, as far as the interval shows "
        yield Sentence(Level.NOTHING, words + f"(perplexity lower by {found}).")


def planted_rows(report: Report) -> Iterator[Sentence]:
    """Whether rows that were planted among the training rows can be recognized."""
    ranked, exposure = measured(report, "canary/auc"), measured(report, "canary/exposure")
    if ranked is None or ranked.low is None:
        return
    bits = f"; mean exposure {exposure} bits, 1.44 for rows that were not planted" if exposure else ""
    exposed = exposure is not None and exposure.low is not None and exposure.low > UNSEEN_BITS
    if ranked.low > 0.5 or exposed:
        signal = SIGNALS.get(report.get("notes", {}).get("canary/auc", ""), "the strongest signal")
        yield Sentence(Level.FOUND, f"Planted rows can be recognized by {signal} (AUC {ranked}{bits}).")
    else:
        words = "Planted rows cannot be recognized, as far as the interval shows "
        yield Sentence(Level.NOTHING, words + f"(AUC {ranked}{bits}).")


def guesses(report: Report) -> Iterator[Sentence]:
    """Whether guesses from the synthetic rows are better for training rows than for unseen rows."""
    found: dict[str, list[str]] = {}
    for name, what in GUESSES.items():
        risk = measured(report, f"anonymeter/{name}")
        if risk is None or risk.low is None:
            continue
        made, naive = (measured(report, f"anonymeter/{name}/{rate}") for rate in ("main", "naive"))
        weak = made is not None and naive is not None and made.value <= naive.value
        result = "more" if risk.low > 0 else "weak" if weak else "same"
        found.setdefault(result, []).append(f"{what} (risk {risk})")
    for result, (level, words) in GAINS.items():
        if result in found:
            yield Sentence(level, f"{words} {', '.join(found[result])}.")
