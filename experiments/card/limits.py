"""What a reader of a privacy card has to mind: limits of the numbers, and what was not tested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from experiments.card.numbers import Report, attacks_made, candidates, measured, rate_text
from experiments.report.typeset import escape_markdown
from harmonic.evaluation.privacy.membership import ON_LIKELIHOODS, ON_ROWS, RATES
from harmonic.tables.grouping import People

MEASURES = {
    "epsilon": "how far from differential privacy the release is at least",
    "shadow/auc": "attackers who fit generators of their own to compare with (shadow models)",
    "nrs": "copies of training rows",
    "dcr": "distances to training rows",
    "dlt_holdout": "the model's memory of training rows",
    "prompt_copy": "copies of the rows that a prompt shows",
    "canary": "planted rows",
    "anonymeter/singling_out": "singling out",
    "anonymeter/linkability": "linkability",
    "anonymeter/inference": "inference of a column from the others",
}
"""What there is to measure besides attacks: the metrics' names, or how they begin, and words for it."""

NEVER_TESTED = (
    "attackers who know more than the synthetic rows, the reference rows and, for loss and min_k, the model",
    "several releases from the same rows, put together",
    "bounds that hold against every attack (differential privacy): the generators here give none",
)

ENOUGH = 10
"""Non-members above the threshold that a true-positive rate should rest on."""


def warnings(report: Report) -> list[str]:
    """What qualifies the numbers of the card."""
    return [*_about_people(report), *_about_sizes(report), *_about_rates(report), *_about_scores(report)]


def _about_people(report: Report) -> Iterator[str]:
    """Rows of one person are no independent ones, for the attacks neither."""
    if found := report.get("people"):
        people = People(**found)
        yield (
            f"{people.rows:,} rows are of {people.people:,} people or things (column {escape_markdown(people.column)}) "
            "and are taken as independent. All rows of a person are members, or none; but the attacks ask about rows, "
            "and someone may be found more easily by all their rows at once. Intervals count rows, not people, and may "
            "be too narrow. How many rows each has is not kept in the synthetic rows."
        )


def _about_sizes(report: Report) -> Iterator[str]:
    for name in attacks_made(report):
        size = candidates(report, name)
        if size is None:
            yield f"The report does not say how many rows the attack {name} compared."
        elif size[0] != size[1]:
            yield f"The attack {name} compares {size[0]:,} members with {size[1]:,} non-members: the counts differ."
    rows = report.get("rows", {})
    if rows and rows["synthetic"] < rows["train"]:
        yield (
            f"{rows['synthetic']:,} synthetic rows were examined, of a generator given {rows['train']:,} rows: a "
            "release of more rows gives an attacker more."
        )
    if rows and rows.get("learnt", rows["train"]) < rows["train"]:
        yield (
            f"The generator learnt from {rows['learnt']:,} of the {rows['train']:,} training rows: the attacks look "
            "for these alone, and say nothing of a generator that learns from all."
        )


def _about_rates(report: Report) -> Iterator[str]:
    """Whether there are non-members enough for the low false-positive rates."""
    counts = sorted({size[1] for name in attacks_made(report) if (size := candidates(report, name))})
    for rate in RATES.values():
        above = {count: int(count * rate + 1e-9) for count in counts}
        if few := [count for count in counts if above[count] == 0]:
            yield (
                f"A false-positive rate of {rate_text(rate)} cannot be resolved with {_or(few)} non-members: it takes "
                f"{round(1 / rate):,}."
            )
        if thin := sorted({hits for hits in above.values() if 0 < hits < ENOUGH}):
            yield (
                f"The true-positive rates at {rate_text(rate)} rest on few false positives ({_or(thin)}): mind their "
                "intervals."
            )


def _about_scores(report: Report) -> Iterator[str]:
    for name in attacks_made(report):
        found = measured(report, f"mia/{name}/auc")
        if found is not None and found.high is not None and found.high < 0.5:
            yield f"The attack {name} ranks unseen rows before training rows ({found}): reversed, it tells them apart."
    if any(measured(report, name) for name in ("dcr/share", "dcr/median", "nndr")):
        yield (
            "Distances (dcr, nndr) describe the rows and cannot show that membership is hidden: they do not follow the "
            "risk of membership inference (arXiv 2505.01524)."
        )
    if measured(report, "dlt"):
        yield "dlt rises when rows are drawn at a low temperature, whatever the model remembers; dlt_holdout does not."
    if planted := (report["config"].get("canaries") or {}).get("count", 0):
        yield f"{planted} made-up rows were planted among the training rows: these synthetic rows are not for release."
    if report["config"].get("evaluate_on") == "validation":
        yield "The non-members are validation rows (evaluate_on=validation): figures to choose by, not to publish."
    yield "Intervals of different measures hold each for itself: of many measures one may find something by chance."
    yield "One run of one generator with one seed: another may give away more, or less."


def not_tested(report: Report) -> list[str]:
    """What was not looked at: a line of Markdown for each reason, and then what there is no test for here."""
    missing: dict[str, list[str]] = {}
    known = {f"mia/{name}/auc": f"the attack {name}" for name in (*ON_LIKELIHOODS, *ON_ROWS)} | MEASURES
    for prefix, what in known.items():
        if (why := _why_missing(report, prefix)) is not None:
            missing.setdefault(why, []).append(what)
    return [*(f"{', '.join(names)}: {why}" for why, names in missing.items()), *NEVER_TESTED]


def _why_missing(report: Report, prefix: str) -> str | None:
    """Why no metric of that name, or that begins so, has a value; None if one has."""
    metrics = report["metrics"]
    names = [name for name in metrics if name == prefix or name.startswith(f"{prefix}/")]
    if any(metrics[name] is not None for name in names):
        return None
    reasons = [report["unavailable"].get(name) for name in names]
    said = [escape_markdown(str(reason).splitlines()[0]) for reason in reasons if reason]
    return said[0] if said else "not measured in this run"


def _or(numbers: Iterable[int]) -> str:
    return " or ".join(f"{one:,}" for one in numbers)
