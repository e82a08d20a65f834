"""What attacks on membership found, in sentences: can training rows be told from unseen rows?"""

from __future__ import annotations

from collections.abc import Iterator

from experiments.card.numbers import (
    Report,
    attacks_made,
    candidates,
    confidence,
    least_visible,
    measured,
    percent,
    rate_text,
    setting,
    worst_attack,
    worst_named,
)
from experiments.card.sentence import Level, Sentence
from harmonic.evaluation.privacy.membership import RATES


def membership(report: Report) -> Iterator[Sentence]:
    """Whether training rows can be told from unseen rows, over all attacks at once."""
    worst, name, count = measured(report, "mia/worst"), worst_attack(report), len(attacks_made(report))
    if worst is None or worst.low is None or name is None:
        return
    named = str(worst_named(report)).replace(", reversed", " (reversed)")
    interval = f"{confidence(report):.0%} interval" + (f" for {count} attacks at once" if count > 1 else "")
    if worst.low > 0.5:
        yield Sentence(
            Level.FOUND,
            f"An attacker can tell training rows from unseen rows better than by guessing: the attack {named} ranks "
            f"the training row first in {worst.value:.0%} of pairs of a training row and an unseen row (guessing: 50%; "
            f"{interval}:{worst.interval(percent)}).",
        )
        return
    size, visible = candidates(report, name), least_visible(report)
    rows = f"{size[0]:,} training rows and {size[1]:,} unseen rows" if size else "the compared rows"
    unseen = f" (an AUC below about {visible:.2f} would be missed)" if visible else ""
    yield Sentence(
        Level.NOTHING,
        f"No attack was better than guessing, as far as {rows} can show{unseen}: the largest AUC is {worst}, by "
        f"{named} ({interval}; guessing: 0.5).",
    )


def unusual_rows(report: Report) -> Iterator[Sentence]:
    """The same for rows that are unlike all others."""
    worst, size = measured(report, "mia/worst_apart"), candidates(report, "worst_apart")
    if worst is None or worst.low is None or size is None:
        return
    name, level = report.get("notes", {}).get("mia/worst_apart", "an attack"), f"{confidence(report):.0%}"
    rows = f"Among {size[0]:,} training rows and {size[1]:,} unseen rows that are unlike all others,"
    if worst.low > 0.5:
        yield Sentence(
            Level.FOUND,
            f"{rows} the attack {name} ranks the training row first in {worst.value:.0%} of pairs ({level} interval "
            f"for all attacks at once:{worst.interval(percent)}).",
        )
    else:
        yield Sentence(
            Level.NOTHING,
            f"{rows} no attack was better than guessing, as far as so few rows can show (largest AUC {worst}).",
        )


def few_false_alarms(report: Report) -> Iterator[Sentence]:
    """The true-positive rate that is highest compared with its false-positive rate. Each interval is for itself."""
    looked = [
        (found.low / rate, name, rate, found)
        for name in attacks_made(report)
        for key, rate in RATES.items()
        if (found := measured(report, f"mia/{name}/{key}")) is not None and found.low is not None
    ]
    most, name, rate, found = max(looked, default=(0, "", 0, None), key=lambda one: one[0])
    if found is not None and most > 1:
        yield Sentence(
            Level.SIGN,
            f"With {rate_text(rate)} false alarms, the attack {name} finds {percent(found.value)} of the training rows"
            f"{found.interval(percent)}; among {len(looked)} such results, some look high by chance.",
        )


def epsilon(report: Report) -> Iterator[Sentence]:
    """The epsilon that is refuted. It is always a lower bound, so a small one proves nothing."""
    bound, most = measured(report, "epsilon"), measured(report, "epsilon/largest")
    if bound is None or most is None:
        return
    kinds = ("members", "non_members", "tpr", "fpr")
    members, others, hits, alarms = (report["metrics"].get(f"epsilon/{kind}") or 0 for kind in kinds)
    level = f"{setting(report, 'empirical_epsilon', 'confidence', 0.95):.0%} confidence"
    delta = f"delta {setting(report, 'empirical_epsilon', 'delta', 1e-5):g}"
    possible = f"a rule without mistakes would refute an epsilon below {most.value:.2f}"
    if bound.value > 0:
        yield Sentence(
            Level.FOUND,
            f"Differential privacy with an epsilon below {bound.value:.2f} ({delta}, one row replaced) is refuted at "
            f"{level}: a rule chosen on other rows takes {percent(hits)} of {members:,.0f} training rows, and "
            f"{percent(alarms)} of {others:,.0f} unseen rows, for training rows ({possible}).",
        )
    else:
        yield Sentence(
            Level.NOTHING,
            f"No epsilon of differential privacy is refuted at {level} ({delta}), with {members:,.0f} training rows "
            f"and {others:,.0f} unseen rows; {possible}.",
        )


def shadow_models(report: Report) -> Iterator[Sentence]:
    """What an attacker finds who fits the generator many times."""
    found = measured(report, "shadow/auc")
    if found is None or found.low is None:
        return
    times, level = (setting(report, "shadow_models", *given) for given in (("models", 16), ("confidence", 0.95)))
    who = f"An attacker who fits the same generator {times:.0f} times, and knows all rows but not which were learnt,"
    if found.low > 0.5:
        interval = f"{level:.0%} interval:{found.interval(percent)}"
        yield Sentence(Level.FOUND, f"{who} ranks the training row first in {found.value:.0%} of pairs ({interval}).")
    else:
        yield Sentence(Level.NOTHING, f"{who} is no better than guessing, as far as the interval shows (AUC {found}).")
