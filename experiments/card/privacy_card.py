"""The privacy card of a run: which attacks were tried, what they found, and what was not tested.

    harmonic-card outputs/audit          the cards of all runs in this folder, and a table that compares them
    python -m experiments.card.privacy_card outputs/runs/diabetes/harmonic/seed0-1a2b3c4d

A card needs only report.json (harmonic.runs.run), so old reports give one, too.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from experiments.card.guarantee import told
from experiments.card.limits import not_tested, warnings
from experiments.card.markdown import bullets, escape_markdown, markdown_table
from experiments.card.numbers import (
    Report,
    attacks_made,
    candidates,
    confidence,
    measured,
    rate_text,
    worst_attack,
    worst_named,
)
from experiments.card.reading import reading
from experiments.collect.declared_metrics import declaration_of, metrics_of
from experiments.collect.runs import read_runs
from experiments.collect.shown_metrics import columns
from harmonic.errors import HarmonicError
from harmonic.evaluation.base import Metric
from harmonic.evaluation.privacy.membership import ON_LIKELIHOODS, RATES
from harmonic.runs.run import Run

logger = logging.getLogger(__name__)

CARD = "privacy_card.md"
"""The card's name in a run's folder."""
ATTACKS = "mia"
BESIDES = (
    "epsilon", "shadow", "nrs", "dcr/mean", "dcr/share", "nndr", "prompt_copy", "dlt", "dlt_holdout", "canary",
    "anonymeter",
)  # fmt: skip
"""Names, or first parts of names, of harmonic's own metrics in the second table; others say so, with Shown("card")."""

DETAILS = ("low", "high", "main", "control", "naive", "members", "non_members")
"""Last parts of names that need no row of their own: the value's interval or note has them."""


def concerns_privacy(report: Report) -> bool:
    """Whether the run measured anything that a card shows."""
    if any(_belongs(name, (ATTACKS, *BESIDES)) for name in report["metrics"]):
        return True
    return any(measure.metric in report["metrics"] for measure in columns(metrics_of([report]), "card"))


def card(report: Report) -> str:
    """The card as Markdown. It depends only on the report."""
    title = f"# Privacy card: {escape_markdown(report['generator'])} on {escape_markdown(report['dataset'])}"
    parts = [title, markdown_table(("", ""), _facts(report)), "## Reading", reading(report)]
    if promise := told(report):
        first, *provided = map(escape_markdown, promise)
        parts += ["## Guarantee", first, bullets(provided)]
    parts += ["## Can training rows be told from other rows?", *_attacks(report)]
    if besides := _besides(report):
        parts += ["## Copies, distances, memory", markdown_table(("metric", "value", "better", "meaning"), besides)]
    parts += ["## Keep in mind", bullets(warnings(report)), "## Not tested", bullets(not_tested(report))]
    return "\n\n".join(parts) + "\n"


def overview(reports: Sequence[Report]) -> str:
    """The reports side by side as a Markdown table, a row each; metrics that no report has are left out."""
    rows, shown_side_by_side = [], columns(metrics_of(reports), "cards")
    for report in reports:
        worst, size = worst_attack(report), report.get("rows", {}).get("synthetic")
        run = f"{report['generator']} on {report['dataset']}, seed {report['seed']} ({report['run_id']})"
        cells = []
        for measure in shown_side_by_side:
            text = str(measured(report, measure.metric.replace("*", str(worst))) or "–")  # *: of the worst attack
            cells.append(f"{text} ({worst_named(report)})" if worst and measure.metric == "mia/worst" else text)
        rows.append([escape_markdown(run), "–" if size is None else f"{size:,}", *cells])
    header = ["run", "synthetic rows", *(measure.title for measure in shown_side_by_side)]
    shown = [place for place in range(len(header)) if any(row[place] != "–" for row in rows)]
    return markdown_table([header[place] for place in shown], [[row[place] for place in shown] for row in rows])


def _facts(report: Report) -> list[tuple[str, str]]:
    """What the run was, and its numbers of rows."""
    config, rows = report["config"], report.get("rows", {})
    model = ((config.get("generator") or {}).get("llm") or {}).get("name", "none")
    kinds = {
        "training rows": "train", "training rows that were learnt (members)": "learnt",
        "held-out rows (non-members)": "test",
        "other real rows that the attacker has": "reference", "synthetic rows": "synthetic",
    }  # fmt: skip
    facts = [
        ("dataset", report["dataset"]), ("generator", report["generator"]), ("language model", model),
        ("scale", (config.get("scale") or {}).get("name", "")), ("seed, run", f"{report['seed']}, {report['run_id']}"),
        *((words, f"{rows[name]:,}" if name in rows else "not recorded") for words, name in kinds.items()),
    ]  # fmt: skip
    return [(words, escape_markdown(str(value))) for words, value in facts]


def _attacks(report: Report) -> list[str]:
    """A table of the attacks, the strongest first, and a paragraph about the strongest."""
    attacks = attacks_made(report)
    if not attacks:
        return [f"No attack gave a result: {escape_markdown(report['unavailable'].get('mia/worst', 'none was run'))}."]
    header = ["attack", "uses", "members, non-members", "AUC", "AUC, unusual rows"]
    header += [f"TPR at {rate_text(rate)} FPR" for rate in RATES.values()]
    rows = []
    for name in attacks:
        size = candidates(report, name)
        numbers = f"{size[0]:,}, {size[1]:,}" if size else "not recorded"
        rates = [str(measured(report, f"mia/{name}/{key}") or "–") for key in RATES]
        areas = [str(measured(report, f"mia/{name}/{key}") or "–") for key in ("auc", "apart")]
        rows.append((name, "the model" if name in ON_LIKELIHOODS else "synthetic rows", numbers, *areas, *rates))
    return [markdown_table(header, rows), " ".join(_about_attacks(report))]


def _about_attacks(report: Report) -> Iterator[str]:
    """What the intervals mean, and the strongest attack on all rows and on unusual rows."""
    level = f"{confidence(report):.0%}"
    yield f"Intervals: {level}, each for one number. –: not available, see below."
    if worst := measured(report, "mia/worst"):
        yield f"Strongest: AUC {worst}, by {worst_named(report)}; this {level} interval holds for all attacks at once."
    if (apart := measured(report, "mia/worst_apart")) and (size := candidates(report, "worst_apart")):
        name = report.get("notes", {}).get("mia/worst_apart")
        yield (
            f"Unusual rows: those farthest from their neighbours, {size[0]:,} members and {size[1]:,} non-members; "
            f"strongest: AUC {apart}, by {name}, with a {level} interval for all attacks at once."
        )


def _besides(report: Report) -> list[tuple[str, str, str, str]]:
    """Every other metric with a value: name, value with interval and note, direction, meaning."""
    declared, rows = metrics_of([report]), []
    further = [measure.metric for measure in columns(declared, "card")]
    places = {name: place for place, name in enumerate(BESIDES)}
    twice = f"canary/{report.get('notes', {}).get('canary/auc')}/"  # `canary/*` repeats this signal
    names = [name for name in report["metrics"] if _belongs(name, (*BESIDES, *further)) and not name.startswith(twice)]
    names = [name for name in names if name.rpartition("/")[2] not in DETAILS and not name.startswith("epsilon/")]
    for name in sorted(names, key=lambda name: places.get(name, places.get(name.partition("/")[0], len(places)))):
        if (value := measured(report, name)) is not None:
            metric, note = declaration_of(name, declared), report.get("notes", {}).get(name)
            shown = f"{value} ({escape_markdown(note)})" if note else str(value)
            rows.append((name, shown, _better(metric), metric.meaning if metric else ""))
    return rows


def _belongs(name: str, prefixes: Sequence[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}/") for prefix in prefixes)


def _better(metric: Metric | None) -> str:
    if metric is None or (metric.higher_is_better is None and metric.ideal is None):
        return ""
    if metric.ideal is not None:
        return f"→ {metric.ideal:.3g}"
    return "↑" if metric.higher_is_better else "↓"


def print_cards(folders: Sequence[Path]) -> int:
    """Print the cards of the runs in these folders, and a table if there are several. Returns the number of cards.

    Runs without a privacy metric are left out. Raises ConfigError if a folder has no run.
    """
    found: list[dict[str, Any]] = []
    for record in read_runs(folders):
        if record.superseded or not record.report or not concerns_privacy(record.report):
            continue
        found.append(record.report)
        if record.status != "done":
            print(f"This run is not finished ({record.status}), so its card is not complete: {record.folder}\n")
        print(card(record.report))
    if len(found) > 1:
        print("# Side by side\n\n" + overview(found) + "\n")
    return len(found)


def place_card(run: Run) -> None:
    """Write privacy_card.md into the run's folder if anything was measured that it shows.

    An error is only logged, because the run is complete without a card.
    """
    if not concerns_privacy(run.report):
        return
    try:
        text = card(run.report)
    except Exception:
        logger.exception("could not make a privacy card from the report in %s", run.folder)
        return
    with TemporaryDirectory(prefix="harmonic-") as folder:
        written = Path(folder) / CARD
        written.write_text(text, encoding="utf-8")
        run.place(written, CARD)


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = argparse.ArgumentParser(
        prog="harmonic-card", description="Print what runs reveal: a privacy card for each run that measured privacy.",
        epilog="example: harmonic -m experiment=audit && harmonic-card outputs/audit",
    )  # fmt: skip
    options.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="a run, or a folder with runs")
    given = options.parse_args(arguments)
    try:
        if not print_cards(given.folders):
            print("error: no run there measured privacy\n  fix: run with evaluator=audit", file=sys.stderr)
            sys.exit(1)
    except HarmonicError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
