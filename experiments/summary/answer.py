"""The result of a run in five lines of words, by rules from report.json.

How useful the rows are, how similar to real rows, what attacks found, how the rows were drawn, and what to do next. The
words say no more than the numbers allow: they say so if a difference may be chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt

from experiments.card.numbers import Report, measured, percent
from experiments.card.reading import short_reading
from experiments.collect.shown_metrics import headline_of, number
from experiments.summary.next_step import next_step

RELATIONS = {"correlation_similarity": "correlations", "contingency_similarity": "pairs of categories"}
"""Metrics of relations between columns, in order of preference, and words for them."""
LEAST_SPAN = 0.05  # least difference between independent columns and real rows, as a share of the larger score
LEAST_RELATION = 0.02
MANY_REJECTED = 0.1  # as a share of the answers
_LIMITS = ((0.1, "lost"), (0.5, "mostly lost"), (0.9, "partly kept"))


def answer(report: Report) -> dict[str, str]:
    """The five lines by their titles: useful, alike, attacks, rows, next. They depend only on the report."""
    return {
        "useful": _useful(report), "alike": _alike(report), "attacks": short_reading(report), "rows": _rows(report),
        "next": next_step(report, position(report)),
    }  # fmt: skip


def in_words(report: Report) -> dict[str, str]:
    """The lines for a page that also has the privacy card's reading; empty if nothing was measured."""
    lines = answer(report) if report.get("metrics") else {}
    return {title: text for title, text in lines.items() if title != "attacks"}


def position(report: Report) -> float | None:
    """Where the rows are between independent columns (0) and as many real rows (1), by the yardsticks' score.

    If the table has no target, by relations between columns. None if nothing was measured, or if the two ends are so
    close that chance decides.
    """
    name = _yardstick(report)
    ends = _three(report, name) if name else None
    if ends is None or _too_close(report, str(name), ends):
        return None
    return _between(ends)


def _yardstick(report: Report) -> str | None:
    """The name of the score for usefulness."""
    metrics = report["metrics"]
    score = headline_of(report)
    if f"yardstick/synthetic/{score}" in metrics:
        return score
    if "yardstick/synthetic/column_shapes" in metrics:  # a table without a target
        return next((name for name in RELATIONS if f"yardstick/synthetic/{name}" in metrics), None)
    return None


def _three(report: Report, name: str) -> Mapping[str, float] | None:
    """The scores of synthetic rows, independent columns and real rows; None if one is missing."""
    values = {
        table: report["metrics"].get(f"yardstick/{table}/{name}") for table in ("synthetic", "independent", "real")
    }
    return None if None in values.values() else values


def _between(scores: Mapping[str, float]) -> float:
    return round((scores["synthetic"] - scores["independent"]) / (scores["real"] - scores["independent"]), 3)


def _too_close(report: Report, name: str, scores: Mapping[str, float]) -> bool:
    """Whether the two ends differ by no more than chance, or are in the wrong order."""
    lower_is_better = name in ("rmse", "mae")
    span = (scores["real"] - scores["independent"]) * (-1 if lower_is_better else 1)
    if name in RELATIONS:
        return span < LEAST_RELATION
    largest = max(abs(scores["real"]), abs(scores["independent"]))
    return span <= max(LEAST_SPAN * largest, _chance(report, name) or 0.0)


def _chance(report: Report, name: str) -> float | None:
    """How much a classification score may change by chance: two standard errors of a share of the test rows."""
    tested = report.get("rows", {}).get("test")
    return None if not tested or name in ("r2", "rmse", "mae") else 1 / sqrt(tested)


def _useful(report: Report) -> str:
    name = _yardstick(report)
    if name is None:
        return "Not measured: evaluator=utility compares the rows with independent columns and with real rows."
    scores = _three(report, name)
    if scores is None:
        missing = [key for key in report["metrics"] if key.startswith("yardstick/") and key.endswith(f"/{name}")]
        reasons = [reason for key in missing if (reason := report.get("unavailable", {}).get(key))]
        return f"Not available: {reasons[0] if reasons else f'there is no {name}'}."
    numbers = f"{number(scores['synthetic'])}; independent columns {number(scores['independent'])}, "
    numbers += f"as many real rows {number(scores['real'])}"
    if name in RELATIONS:
        numbers = f"the table has no target, so by {RELATIONS[name]}: {numbers}"
    else:
        numbers = f"{name} of models trained on them, tested on {_tested(report)}: {numbers}"
    if _too_close(report, name, scores):
        return f"Unclear for this table: real rows are hardly more useful than independent columns ({numbers})."
    chance = _chance(report, name) if name not in RELATIONS else None
    remark = f" Differences below about {chance:.2f} may be chance." if chance else ""
    return f"{_usefulness(_between(scores))} ({numbers}).{remark}"


def _usefulness(place: float) -> str:
    """A position between independent columns (0) and real rows (1), in words."""
    if place >= 0.9:
        return "About as useful as real rows"
    if place <= 0.1:
        return "No more useful than independent columns"
    return f"{place:.0%} of the way from independent columns to real rows"


def _tested(report: Report) -> str:
    rows, on = report.get("rows", {}).get("test"), report["config"].get("evaluate_on")
    return f"{f'{rows:,} ' if rows else ''}real {'validation' if on == 'validation' else 'test'} rows"


def _alike(report: Report) -> str:
    """Column shapes and relations, compared with as many real rows; and label shares if they differ."""
    parts = [part for part in (_shapes(report), *_relations(report)) if part]
    if not parts:
        return "Not measured: evaluator=[fidelity,utility] compares columns and correlations with real rows."
    gap = measured(report, "mle/class_balance_gap")
    if gap is not None and gap.value >= 0.1:
        note = report.get("notes", {}).get("mle/class_balance_gap")
        parts.append(f"label shares differ by {percent(gap.value)}" + (f" ({note})" if note else ""))
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "."


def _shapes(report: Report) -> str | None:
    own = measured(report, "yardstick/synthetic/column_shapes") or measured(report, "column_shapes")
    real = measured(report, "yardstick/real/column_shapes")
    if own is None:
        return None
    if real is None:
        return f"column shapes {number(own.value)} of 1"
    short = real.value - own.value
    grade = "as close as real rows" if short <= 0.02 else "a little off" if short <= 0.06 else "off"
    grade = "far off" if short > 0.15 else grade
    return f"column shapes {number(own.value)}, {grade} (as many real rows {number(real.value)})"


def _relations(report: Report) -> Iterator[str]:
    for name, words in RELATIONS.items():
        scores = _three(report, name)
        if scores is None:
            if (own := measured(report, name)) is not None and not _three(report, "column_shapes"):
                yield f"{words} {number(own.value)} of 1"
            continue
        ends = f"as many real rows {number(scores['real'])}, independent columns {number(scores['independent'])}"
        grade = _kept(scores)
        yield f"{words} {number(scores['synthetic'])}{f', {grade}' if grade else ''} ({ends})"


def _kept(scores: Mapping[str, float]) -> str:
    if scores["synthetic"] >= scores["real"] - LEAST_RELATION:
        return "as close as real rows" if scores["real"] - scores["independent"] >= LEAST_RELATION else ""
    if scores["real"] - scores["independent"] < LEAST_RELATION:
        return "off"
    place = _between(scores)
    return next((words for limit, words in _LIMITS if place <= limit), "as close as real rows")


def _rows(report: Report) -> str:
    """The number of rows, how they were written, and which answers were rejected."""
    validity, rows = report.get("validity") or {}, report.get("rows", {}).get("synthetic")
    count = f"All {rows:,} rows are" if rows else "All rows are"
    if "answers" not in validity:
        return f"{count} valid: this generator writes only valid rows."
    parts = []
    ways = {"free": "written freely", "constrained": "with constrained decoding"}
    if drawn := [f"{int(validity[way]):,} {words}" for way, words in ways.items() if validity.get(way)]:
        parts.append(", ".join(drawn))
    if (raw := validity.get("raw")) is not None:
        parts.append(f"{percent(raw)} of the {'free ' if 'free' in validity else ''}answers were valid")
    rejected = {key.removeprefix("rejected/"): int(n) for key, n in validity.items() if key.startswith("rejected/")}
    if sum(rejected.values()) > MANY_REJECTED * validity["answers"]:
        most = sorted(rejected.items(), key=lambda one: -one[1])[:3]
        parts.append("rejected: " + ", ".join(f"{reason} {n:,}" for reason, n in most))
    return f"{count} valid ({'; '.join(parts)})." if parts else f"{count} valid."
