"""What a report's numbers say about privacy, in words for the owner of the data.

A metric finds something if its interval excludes the value of rows that reveal nothing. If not, the words say how large
a leak could have been missed. No test can show that rows are safe, and the words never say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from experiments.card import attack_sentences, trace_sentences
from experiments.card.numbers import Report
from experiments.card.sentence import Level, Sentence

OPENINGS = {
    Level.FOUND: "Traces of the training rows were found.",
    Level.SIGN: "There are signs of training rows; they may be chance, or reveal nothing about a person.",
    Level.NOTHING: "No trace of the training rows was found, as far as tests of this size can show.",
}
UNMEASURED = "Nothing was measured that could say what the synthetic rows reveal."
CLOSING = "Attacks that were not tested may reveal more: no test of this kind is a guarantee."

PARTS: tuple[Callable[[Report], Iterator[Sentence]], ...] = (
    attack_sentences.membership,
    attack_sentences.unusual_rows,
    attack_sentences.few_false_alarms,
    attack_sentences.epsilon,
    attack_sentences.shadow_models,
    trace_sentences.copies,
    trace_sentences.prompt_copies,
    trace_sentences.memory,
    trace_sentences.planted_rows,
    trace_sentences.guesses,
)
ALWAYS_SHOWN = (attack_sentences.membership, trace_sentences.copies)
"""The parts that the short reading has in any case."""


def reading(report: Report) -> str:
    """One paragraph: first what was found, then what was tested without a finding."""
    sentences = [sentence for part in PARTS for sentence in part(report)]
    if not sentences:
        return UNMEASURED
    sentences.sort(key=lambda sentence: -sentence.level)
    return " ".join([OPENINGS[gravest(report)], *(sentence.words for sentence in sentences), CLOSING])


def short_reading(report: Report) -> str:
    """The reading in a few sentences: the overall result, its reasons, attacks on membership, and copies."""
    sentences = [(part, sentence) for part in PARTS for sentence in part(report)]
    if not sentences:
        return UNMEASURED
    most = gravest(report)
    shown = [
        sentence.words for part, sentence in sentences if part in ALWAYS_SHOWN or sentence.level == most > Level.NOTHING
    ]
    if not any(part is attack_sentences.membership for part, _ in sentences):
        shown.append("No attack on membership gave a result.")
    return " ".join([OPENINGS[most], *shown])


def gravest(report: Report) -> Level:
    """The highest level of a sentence; NOTHING if nothing was measured."""
    return max((sentence.level for part in PARTS for sentence in part(report)), default=Level.NOTHING)
