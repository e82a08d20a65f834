"""What to keep in mind when reading a privacy card: limits of the numbers, and what was not tested."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from experiments.card.guarantee import guarantee, refuted
from experiments.card.markdown import escape_markdown
from experiments.card.numbers import Report, attacks_made, candidates, measured, rate_text
from harmonic.evaluation.privacy.membership import ON_LIKELIHOODS, ON_ROWS, RATES
from harmonic.tables.grouping import People

MEASURES = {
    "epsilon": "how far from differential privacy the release is at least",
    "shadow/auc": "attackers who fit generators of their own to compare with (shadow models)",
    "nrs": "copies of training rows",
    "dcr": "distances to training rows",
    "dlt_holdout": "the model's memory of training rows",
    "prompt_copy": "copies of rows from prompts",
    "canary": "planted rows",
    "anonymeter/singling_out": "singling out",
    "anonymeter/linkability": "linkability",
    "anonymeter/inference": "inference of a column from the others",
}
"""Other privacy metrics than attacks on membership: their names, or the first part of their names, and words."""

NEVER_TESTED = (
    "attackers who know more than the synthetic rows, the reference rows and, for loss and min_k, the model",
    "several releases from the same rows, combined",
)
WITHOUT_GUARANTEE = "bounds that hold against every attack (differential privacy): this generator gives none"
WITH_GUARANTEE = "whether the code keeps the guarantee, beyond the attacks above"

ENOUGH = 10
"""With fewer non-members above the threshold, a true-positive rate is uncertain."""


def warnings(report: Report) -> list[str]:
    """Limits of the card's numbers, a sentence each."""
    return [
        *refuted(report),
        *_about_people(report),
        *_about_sizes(report),
        *_about_rates(report),
        *_about_scores(report),
    ]


def _about_people(report: Report) -> Iterator[str]:
    """Several rows of one person are not independent, but attacks treat them so."""
    if found := report.get("people"):
        people = People(**found)
        yield (
            f"{people.rows:,} rows are of {people.people:,} people or things (column {escape_markdown(people.column)}) "
            "and are treated as independent. Either all rows of a person are members, or none. But the attacks look at "
            "single rows, and a person may be easier to find by all their rows together. Intervals count rows, not "
            "people, and may be too narrow. The number of rows of each person is not kept in the synthetic rows."
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
            f"{rows['synthetic']:,} synthetic rows were examined, from a table of {rows['train']:,} training rows: "
            "more synthetic rows may reveal more."
        )
    if rows and rows.get("learnt", rows["train"]) < rows["train"]:
        yield (
            f"The generator learnt from {rows['learnt']:,} of the {rows['train']:,} training rows: the attacks look "
            "only for these, and say nothing about a generator that learns from all rows."
        )


def _about_rates(report: Report) -> Iterator[str]:
    """Whether there are enough non-members for the low false-positive rates."""
    counts = sorted({size[1] for name in attacks_made(report) if (size := candidates(report, name))})
    for rate in RATES.values():
        above = {count: int(count * rate + 1e-9) for count in counts}
        if few := [count for count in counts if above[count] == 0]:
            yield (
                f"A false-positive rate of {rate_text(rate)} cannot be measured with {_or(few)} non-members: it needs "
                f"{round(1 / rate):,}."
            )
        if thin := sorted({hits for hits in above.values() if 0 < hits < ENOUGH}):
            yield (
                f"The true-positive rates at {rate_text(rate)} depend on few false positives ({_or(thin)}): see their "
                "intervals."
            )


def _about_scores(report: Report) -> Iterator[str]:
    for name in attacks_made(report):
        found = measured(report, f"mia/{name}/auc")
        if found is not None and found.high is not None and found.high < 0.5:
            yield f"The attack {name} ranks unseen rows before training rows ({found}): reversed, it finds members."
    if any(measured(report, name) for name in ("dcr/share", "dcr/median", "nndr")):
        yield (
            "Distances (dcr, nndr) only describe the rows and do not show that membership is hidden: they do not "
            "follow the risk of membership inference (arXiv 2505.01524)."
        )
    if measured(report, "dlt"):
        yield "dlt is higher at a low sampling temperature even if the model remembers nothing; dlt_holdout is not."
    if planted := (report["config"].get("canaries") or {}).get("count", 0):
        yield f"{planted} made-up rows were planted among the training rows: do not release these synthetic rows."
    if report["config"].get("evaluate_on") == "validation":
        yield "The non-members are validation rows (evaluate_on=validation): use these numbers for choices only."
    yield "Each interval holds for one metric alone: among many metrics, one may find something by chance."
    yield "This is one run of one generator with one seed: another may reveal more, or less."


def not_tested(report: Report) -> list[str]:
    """What was not tested: a line of Markdown for each reason, and then what harmonic has no test for."""
    missing: dict[str, list[str]] = {}
    known = {f"mia/{name}/auc": f"the attack {name}" for name in (*ON_LIKELIHOODS, *ON_ROWS)} | MEASURES
    for prefix, what in known.items():
        if (why := _why_missing(report, prefix)) is not None:
            missing.setdefault(why, []).append(what)
    promised = WITHOUT_GUARANTEE if guarantee(report) is None else WITH_GUARANTEE
    return [*(f"{', '.join(names)}: {why}" for why, names in missing.items()), *NEVER_TESTED, promised]


def _why_missing(report: Report, prefix: str) -> str | None:
    """Why no metric with this name, or this first part, has a value; None if one has."""
    metrics = report["metrics"]
    names = [name for name in metrics if name == prefix or name.startswith(f"{prefix}/")]
    if any(metrics[name] is not None for name in names):
        return None
    reasons = [report["unavailable"].get(name) for name in names]
    said = [escape_markdown(str(reason).splitlines()[0]) for reason in reasons if reason]
    return said[0] if said else "not measured in this run"


def _or(numbers: Iterable[int]) -> str:
    return " or ".join(f"{one:,}" for one in numbers)
