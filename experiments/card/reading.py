"""What a report's numbers say about privacy: in words for a data owner, and no stronger than the intervals allow.

A measure finds something where its interval excludes what would leak nothing. Where it does not, the words say how
much would have gone unseen. No number of measures shows that rows are safe, and the words never say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import IntEnum
from math import log
from typing import NamedTuple

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
from harmonic.evaluation.privacy.membership import RATES


class Level(IntEnum):
    """How much a sentence of the reading says."""

    NOTHING = 0  # looked, and found nothing
    SIGN = 1  # may be chance, or nobody's secret
    FOUND = 2


class Said(NamedTuple):
    """A sentence of the reading."""

    level: Level
    words: str


OPENINGS = {
    Level.FOUND: "Traces of the training rows were found.",
    Level.SIGN: "There are signs of training rows, which may be chance or say nothing of anyone.",
    Level.NOTHING: "No trace of the training rows was found, as far as tests of this size can tell.",
}
UNSEEN_BITS = 1 / log(2)  # mean exposure of rows that nobody has seen (harmonic.evaluation.privacy.canary)
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
    "more": (Level.FOUND, "With the synthetic rows in hand this succeeds more often than against unseen rows:"),
    "same": (Level.NOTHING, "No more often than against unseen rows, as far as the intervals tell, do these succeed:"),
    "weak": (Level.NOTHING, "Tried with attacks too weak to show anything, no better than blind guesses:"),
}
CLOSING = "What was not tested may give rows away all the same, and no test of this kind is a guarantee."


def reading(report: Report) -> str:
    """One paragraph for the owner of the data: what was found first, then what was looked for."""
    said = [sentence for part in PARTS for sentence in part(report)]
    if not said:
        return "Nothing was measured that could say what the synthetic rows give away."
    opening = OPENINGS[gravest(report)]
    said.sort(key=lambda sentence: -sentence.level)
    return " ".join([opening, *(sentence.words for sentence in said), CLOSING])


def gravest(report: Report) -> Level:
    """The level of the gravest sentence; NOTHING where nothing was measured."""
    return max((sentence.level for part in PARTS for sentence in part(report)), default=Level.NOTHING)


def brief(report: Report) -> str:
    """The reading in a few sentences: how it opens, why, and what attacks and a search for copies found."""
    said = [(part, sentence) for part in PARTS for sentence in part(report)]
    if not said:
        return "Nothing was measured that could say what the synthetic rows give away."
    most = gravest(report)
    shown = [s.words for part, s in said if part in (_membership, _copies) or s.level == most > Level.NOTHING]
    untried = [] if any(part is _membership for part, _ in said) else ["No attack on membership gave a number."]
    return " ".join([OPENINGS[most], *shown, *untried])


def _membership(report: Report) -> Iterator[Said]:
    """Whether training rows can be told from others, over all attacks at once."""
    worst, name, count = measured(report, "mia/worst"), worst_attack(report), len(attacks_made(report))
    if worst is None or worst.low is None or name is None:
        return
    together = f"{confidence(report):.0%} interval" + (f", for {count} attacks at once" if count > 1 else "")
    if worst.low > 0.5:
        yield Said(
            Level.FOUND,
            "An attacker can tell training rows from unseen ones better than by guessing: the attack "
            f"{worst_named(report)} ranks a training row before an unseen one in {worst.value:.0%} of pairs, where "
            f"guessing has 50% ({together}:{worst.interval(percent)}).",
        )
        return
    size, visible = candidates(report, name), least_visible(report)
    rows = f"{size[0]:,} members against {size[1]:,} non-members" if size else "the rows compared"
    unseen = f" (an AUC below about {visible:.2f} would not have been seen)" if visible else ""
    yield Said(
        Level.NOTHING,
        f"No attack did better than guessing as far as {rows} can tell{unseen}: the largest AUC, that of "
        f"{worst_named(report)}, is {worst} ({together}), and guessing has 0.5.",
    )


def _apart(report: Report) -> Iterator[Said]:
    """Whether the training rows that are unlike all others can be told from unseen ones that are."""
    worst, size = measured(report, "mia/worst_apart"), candidates(report, "worst_apart")
    if worst is None or worst.low is None or size is None:
        return
    name, level = report.get("notes", {}).get("mia/worst_apart", "an attack"), f"{confidence(report):.0%}"
    rows = f"{size[0]:,} training rows and {size[1]:,} unseen ones that stand apart from all others"
    if worst.low > 0.5:
        yield Said(
            Level.FOUND,
            f"Of {rows} the attack {name} ranks a training row first in {worst.value:.0%} of pairs ({level} interval "
            f"for all attacks at once:{worst.interval(percent)}).",
        )
    else:
        yield Said(
            Level.NOTHING,
            f"No attack did better than guessing on the {rows}, as far as so few can tell (largest AUC {worst}).",
        )


def _few_false_alarms(report: Report) -> Iterator[Said]:
    """The true-positive rate that stands out most from its false-positive rate; each interval is for itself alone."""
    looked = [
        (found.low / rate, name, rate, found)
        for name in attacks_made(report)
        for key, rate in RATES.items()
        if (found := measured(report, f"mia/{name}/{key}")) is not None and found.low is not None
    ]
    most, name, rate, found = max(looked, default=(0, "", 0, None), key=lambda one: one[0])
    if found is not None and most > 1:
        yield Said(
            Level.SIGN,
            f"At {rate_text(rate)} false alarms the attack {name} finds {percent(found.value)} of the training rows"
            f"{found.interval(percent)}; of {len(looked)} such intervals some stand out by chance.",
        )


def _epsilon(report: Report) -> Iterator[Said]:
    """The epsilon that is refuted: always a lower bound, so that nothing follows from a small one."""
    bound, most = measured(report, "epsilon"), measured(report, "epsilon/largest")
    if bound is None or most is None:
        return
    kinds = ("members", "non_members", "tpr", "fpr")
    members, others, hits, alarms = (report["metrics"].get(f"epsilon/{kind}") or 0 for kind in kinds)
    level = f"{setting(report, 'empirical_epsilon', 'confidence', 0.95):.0%} confidence"
    delta = f"delta {setting(report, 'empirical_epsilon', 'delta', 1e-5):g}"
    shown = f"without a mistake these rows would show {most.value:.2f}"
    if bound.value > 0:
        yield Said(
            Level.FOUND,
            f"Differential privacy with an epsilon below {bound.value:.2f} ({delta}, one row replaced) is refuted at "
            f"{level}: a rule chosen on other rows takes {percent(hits)} of {members:,.0f} training rows, and "
            f"{percent(alarms)} of {others:,.0f} unseen rows, for training rows ({shown}).",
        )
    else:
        yield Said(
            Level.NOTHING,
            f"No epsilon of differential privacy is refuted at {level} ({delta}), with {members:,.0f} training rows "
            f"against {others:,.0f} unseen ones; {shown}.",
        )


def _shadow(report: Report) -> Iterator[Said]:
    """What fitting the generator again and again tells."""
    found = measured(report, "shadow/auc")
    if found is None or found.low is None:
        return
    times, level = (setting(report, "shadow_models", *given) for given in (("models", 16), ("confidence", 0.95)))
    who = f"Fitting the same generator {times:.0f} times, an attacker who knows all rows but not which were learnt"
    if found.low > 0.5:
        interval = f"{level:.0%} interval:{found.interval(percent)}"
        yield Said(Level.FOUND, f"{who} ranks a training row first in {found.value:.0%} of pairs ({interval}).")
    else:
        yield Said(Level.NOTHING, f"{who} did no better than guessing, as far as the interval tells (AUC {found}).")


def _copies(report: Report) -> Iterator[Said]:
    """Rows that are training rows; the share is one of these rows, not an estimate."""
    new, rows = measured(report, "nrs"), report.get("rows", {}).get("synthetic")
    if new is None:
        return
    if new.value == 1:
        yield Said(Level.NOTHING, f"None of the {f'{rows:,} ' if rows else ''}synthetic rows matches a training row.")
        return
    copied = f"{round((1 - new.value) * rows):,} of {rows:,}" if rows else f"{percent(1 - new.value)} of the"
    yield Said(
        Level.FOUND,
        f"{copied} synthetic rows match a training row (numbers to within "
        f"{setting(report, 'privacy', 'tolerance', 0.01):.0%}); where a table has few distinct rows some do by chance.",
    )


def _prompts(report: Report) -> Iterator[Said]:
    """Rows, and numbers, repeated from the prompt."""
    for kind, level, what in (("rows", Level.FOUND, "rows"), ("cells", Level.SIGN, "numbers")):
        found = measured(report, f"prompt_copy/{kind}")
        if found is None or found.low is None or found.high is None:
            continue
        if found.low > 0:
            yield Said(
                level,
                f"The generator repeats {what} that its prompts showed it: {percent(found.value)} more than chance "
                f"explains{found.interval(percent)}.",
            )
        else:
            yield Said(
                Level.NOTHING,
                f"It repeats {what} of its prompts no more often than chance explains, as far as the interval tells "
                f"(at most {percent(max(found.high, 0.0))} of them).",
            )


def _memory(report: Report) -> Iterator[Said]:
    """Perplexities of held-out and of training rows."""
    found = measured(report, "dlt_holdout")
    if found is None or found.low is None:
        return
    if found.low > 0:
        words = f"The model finds its training rows likelier than unseen ones (perplexity lower by {found})."
        yield Said(Level.FOUND, words)
    else:
        words = "The model finds its training rows no likelier than unseen ones, as far as the interval tells "
        yield Said(Level.NOTHING, words + f"(perplexity lower by {found}).")


def _planted(report: Report) -> Iterator[Said]:
    """Whether rows that were planted among the training rows come out again."""
    ranked, exposure = measured(report, "canary/auc"), measured(report, "canary/exposure")
    if ranked is None or ranked.low is None:
        return
    bits = f"; mean exposure {exposure} bits, of unseen rows 1.44" if exposure else ""
    exposed = exposure is not None and exposure.low is not None and exposure.low > UNSEEN_BITS
    if ranked.low > 0.5 or exposed:
        signal = SIGNALS.get(report.get("notes", {}).get("canary/auc", ""), "the best of the signals")
        words = f"Rows planted among the training rows can be told by {signal} (AUC {ranked}{bits})."
        yield Said(Level.FOUND, words)
    else:
        words = "Rows planted among the training rows cannot be told, as far as the interval tells "
        yield Said(Level.NOTHING, words + f"(AUC {ranked}{bits}).")


def _guesses(report: Report) -> Iterator[Said]:
    """What guesses from the synthetic rows gain over the same guesses about rows that the generator never saw."""
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
            yield Said(level, f"{words} {', '.join(found[result])}.")


PARTS: tuple[Callable[[Report], Iterator[Said]], ...] = (
    _membership,
    _apart,
    _few_false_alarms,
    _epsilon,
    _shadow,
    _copies,
    _prompts,
    _memory,
    _planted,
    _guesses,
)
