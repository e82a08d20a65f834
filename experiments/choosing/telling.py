"""What choosing prints: the table of methods, the chosen one, its metrics on the test rows, and the next commands."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from experiments.choosing.choice import RISK, Candidate, Choice, Value
from experiments.collect.shown_metrics import number
from experiments.report.tables import MISSING, Cell, ResultTable
from experiments.report.typeset import markdown
from harmonic.shell import quoted


def table_of(choice: Choice, title: str) -> ResultTable:
    """A row for each method, the most useful first, those without numbers last."""
    ordered = sorted(choice.candidates, key=lambda one: (not one.counts, not one.utility.known, -_rank(one)))
    front, allowed = set(choice.front), set(choice.allowed)
    rows = []
    for one in ordered:
        marks = [
            *(["chosen"] if one is choice.taken else []),
            *(["on the front"] if one in front else []),
            *(["reveals too much"] if one.counts and one not in allowed else []),
            *(["for comparison"] if one.is_anchor else []),
            *([one.why] if one.why else []),
        ]
        bold, quiet = one is choice.taken, one.is_anchor
        numbers = [_interval(one.utility), _interval(one.risk), _seconds(one.seconds)]
        rows.append([Cell(text, bold, quiet) for text in (one.generator, ", ".join(marks), *numbers)])
    notes = [
        f"On validation rows, with 95% intervals. {RISK}: the largest AUC of an attack, .5 is guessing.",
        f"Accepted: {_accepted(choice)}.",
        "On the front: no other method is better in both numbers.",
    ]
    return ResultTable("choice", title, ["method", "", choice.measure, RISK, "seconds"], rows, notes)


def verdict(choice: Choice) -> Iterator[str]:
    """Which method is chosen and why, in sentences."""
    known = [one for one in choice.candidates if one.counts]
    if choice.taken is None:
        if not known:
            yield "No method is chosen: none has both numbers; the table says why."
            return
        least = min(known, key=lambda one: one.risk.value)
        enough = math.ceil(least.risk.value * 1000) / 1000
        yield (
            f"No method is chosen: none of {len(known)} methods is accepted (accepted: {_accepted(choice)}). "
            f"{least.generator} reveals least, {RISK} {number(least.risk.value)}: "
            f"choose.risk={enough:g} would accept it."
        )
        return
    taken, within = choice.taken, len(choice.allowed)
    yield (
        f"Chosen: {taken.generator}, the most useful of {within} accepted methods (of {len(known)}) "
        f"({choice.measure} {number(taken.utility.value)}, {RISK} {number(taken.risk.value)})."
    )
    if choice.rivals:
        names = ", ".join(one.generator for one in choice.rivals)
        yield f"With other rows, one of these might be chosen: {names}; their intervals reach it."


def judged(choice: Choice, report: dict[str, Any], folder: Path, before: Sequence[str]) -> Iterator[str]:
    """The chosen method's metrics on the test rows, and the commands that draw rows for a release."""
    assert choice.taken is not None
    utility, risk = Value.of(report, choice.measure), Value.of(report, RISK)
    yield (
        f"On the test rows, which were not used to choose: {choice.measure} {_interval(utility)}, "
        f"{RISK} {_interval(risk)}."
    )
    if choice.limit is not None and risk.known and risk.value > choice.limit:
        yield f"That is above the limit of {number(choice.limit)}; with so few rows, this may be chance."
    if before:
        names = ", ".join(before)
        yield f"These test rows were used before, for {names}: chosen after a second look, the result may be too good."
    yield f"Its rows: {folder / 'synthetic.csv'}"
    yield f"More of them: {' '.join(quoted(word) for word in ('harmonic-sample', str(folder), 'n=1000'))}"


def page(choice: Choice, lines: Sequence[str], title: str, picture: bool) -> str:
    """The same as a page in Markdown, with the picture."""
    shown = "\n![Utility against risk](front.svg)\n" if picture else ""
    return "\n".join([markdown([table_of(choice, title)]), shown, *(f"{line}  " for line in lines), ""])


def _accepted(choice: Choice) -> str:
    if choice.limit is None:
        return "methods without traces of training rows in any attack (or set a limit: choose.risk=…)"
    return f"methods with {RISK} of at most {number(choice.limit)}"


def _rank(one: Candidate) -> float:
    return one.utility.value if one.utility.known else -math.inf


def _interval(value: Value) -> str:
    if not value.known:
        return MISSING
    ends = "" if math.isnan(value.low) or math.isnan(value.high) else f" ({number(value.low)}, {number(value.high)})"
    return number(value.value) + ends


def _seconds(seconds: float) -> str:
    return MISSING if math.isnan(seconds) else f"{seconds:.0f}"
