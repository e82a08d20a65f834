"""The page of a comparison, in Markdown: pictures, tables, what they show, and what is missing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from experiments.collect.declared_metrics import declared_metrics
from experiments.collect.shown_metrics import MetricColumn, columns, direction, goodness
from experiments.report.labelled_results import measured, named
from experiments.report.published import published_table
from experiments.report.significance import significance_table
from experiments.report.tables import Cell, ResultTable, all_tables
from experiments.report.typeset import escape_markdown, markdown
from experiments.results import frame as frames
from experiments.results.pictures import RISK, UTILITY, front_of, methods_of, tested
from experiments.results.ranks import LEVEL, Ranking, ranking
from experiments.results.reproduction import Reproduction, in_words, reproduction_table, reproductions

RANKED = (
    (UTILITY, "utility"),
    (RISK, "worst attack"),
    (MetricColumn("C2ST", "c2st"), "fidelity (C2ST)"),
)
"""What methods are ranked by, and what it is called."""
SHOWN = ("main", "fidelity", "privacy", "cost")


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison's frame and what is computed from it; in `values` each method has one name (`by_method`)."""

    frame: pd.DataFrame
    values: pd.DataFrame
    rankings: tuple[Ranking, ...]
    reproduced: tuple[Reproduction, ...]
    remarks: tuple[str, ...]


def compared(frame: pd.DataFrame) -> Comparison:
    """Everything that the pictures and the page show, computed only from the frame."""
    values, remarks = by_method(measured(frame))
    found = [ranking(name, scores_of(values, measure)) for measure, name in RANKED] if len(values) else []
    rankings = tuple(one for one in found if one is not None)
    return Comparison(frame, values, rankings, tuple(reproductions(values)), tuple(remarks))


def by_method(values: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The values, with a generator under its own name if a table has it in only one setting; and remarks.

    Otherwise a setting that differs between tables (such as rows per prompt) would give several methods.
    """
    values = values.copy()
    remarks = []
    for generator, part in values[values["outdated"] == ""].groupby("generator"):
        labels = {str(dataset): sorted(set(own["label"])) for dataset, own in part.groupby("dataset")}
        if all(len(found) == 1 for found in labels.values()):
            values.loc[part.index, "label"] = str(generator)
            names = sorted({found[0] for found in labels.values()} - {str(generator)})
            for name in names:
                where = ", ".join(dataset for dataset, found in labels.items() if found == [name])
                remarks.append(f"{generator} on {where}: {name.removeprefix(f'{generator}, ')}.")
    return values, remarks


def scores_of(values: pd.DataFrame, measure: MetricColumn) -> pd.DataFrame:
    """Means over seeds of the ranked methods, (tables, methods), larger is better; empty without a direction."""
    rows = measure.of(values[~values["unranked"]]).dropna(subset="value")
    if rows.empty:
        return pd.DataFrame()
    higher, ideal = direction(rows)
    if goodness(0.0, higher, ideal) is None:
        return pd.DataFrame()
    good = rows.assign(value=rows["value"].map(lambda value: goodness(value, higher, ideal)).astype(float))
    return good.pivot_table(index="dataset", columns="label", values="value", aggfunc="mean", observed=True)


def write(comparison: Comparison, pictures: Sequence[str], against: str | None, command: str) -> str:
    """The page's Markdown. `pictures`: the files of pictures; `against`: the methods for paired tests."""
    parts = [
        _head(comparison), *_summary(comparison),
        *(_picture(name, comparison) for name in pictures),
        markdown(_tables(comparison, against)),
        *_reproduction(comparison), *_missing(comparison), _anew(comparison, command),
    ]  # fmt: skip
    return "\n".join(part.rstrip() + "\n" for part in parts if part)


def _head(comparison: Comparison) -> str:
    values, done = comparison.values, frames.finished_runs(comparison.frame)
    begun = len(frames.runs_of(comparison.frame))
    methods = len(set(values["label"][~values["unranked"]]))
    dates = sorted(str(text)[:10] for text in done["finished"] if text)
    seeds = sorted(set(done["seed"].dropna()))
    budgets = sorted({json.loads(text).get("minutes") or 0 for text in done["budget"]})
    limits = [f"{_minutes(most)} for fitting, and the same for drawing" for most in budgets if most]
    cut = frames.ended_by_time(comparison.frame)
    limits += ["no limit"] if budgets == [0] else ["some runs without a limit"] if 0 in budgets else []
    limits += [f"this limit ended the training of {', '.join(cut)}"] if cut else []
    facts = {
        "methods": f"{methods}, and for reference {_listed(values['label'][values['anchor']])}",
        "tables": _listed(values["dataset"]),
        "seeds": ", ".join(map(str, seeds)),
        "runs": f"{len(done)} finished, of {begun}; {' to '.join(sorted({*dates[:1], *dates[-1:]}))}",
        "budget": "; ".join(limits),
        "settings": str(values["usual"].iloc[0]) if len(values) else "",
        "machine": "; ".join(frames.machines(comparison.frame)),
        "versions": ", ".join(f"{name} {'/'.join(found)}" for name, found in frames.versions(comparison.frame).items()),
    }
    lines = ["# All methods compared", "", "| | |", "|:--|:--|"]
    return (
        "\n".join([*lines, *(f"| {name} | {escape_markdown(text)} |" for name, text in facts.items() if text)]) + "\n"
    )


def _summary(comparison: Comparison) -> Iterator[str]:
    """What the numbers show, in sentences."""
    lines = ["## Summary", ""]
    for one in comparison.rankings:
        lines.append(f"- {escape_markdown(_ranked_in_words(one))}")
    for dataset in sorted(set(comparison.values["dataset"])):
        methods = methods_of(comparison.values, dataset)
        front = front_of(methods)
        if front:
            shown = [f"{named(one.label)} ({one.utility.mean:.3f}, AUC {one.risk.mean:.3f})" for one in front]
            text = f"{dataset}: no method beats these in both utility and risk: {', '.join(shown)}."
            lines.append(f"- {escape_markdown(text)}")
    if cards := frames.on_gpu(comparison.frame):
        text = f"Not all runs had the same machine, so seconds cannot be compared. On a GPU: {'; '.join(cards)}."
        lines.append(f"- {escape_markdown(text)}")
    for remark in comparison.remarks:
        lines.append(f"- {escape_markdown(remark)}")
    if given := frames.given_settings(comparison.frame):
        text = f"Settings given to some methods: {'; '.join(given)}."
        lines.append(f"- {escape_markdown(text)}")
    yield "\n".join(lines) + "\n"


def _ranked_in_words(one: Ranking) -> str:
    """The result for one metric; "best" only if it is significant."""
    left_out = ", ".join(map(named, one.left_out))
    out = f" Not ranked, because a table is missing: {left_out}." if left_out else ""
    if one.best is not None:
        verdict = f"{named(one.best)} is best"
    elif one.p_value < LEVEL:
        close = [mean - one.means[0] < one.difference for mean in one.means]
        inside = [named(name) for name, near in zip(one.methods, close, strict=True) if near]
        verdict = f"no method is best: the differences between {', '.join(inside)} are not significant"
    else:
        verdict = "no method is best"
    return f"{one.title}: {verdict} ({tested(one)}).{out}"


def _picture(name: str, comparison: Comparison) -> str:
    captions = {
        "front.svg": "Utility and the AUC of the strongest attack: means over seeds, with standard deviations. Further "
        "up and right is better. Diamonds on the line: methods that no other method beats in both. Hollow circles: "
        "references, which are no methods. Triangles: methods further left than the axis goes, with their utility in "
        "brackets. Next to each name: the time for fitting and drawing. The axis of the attack is stretched near 0.5.",
        "ranks.svg": "Mean ranks over tables, the best method at the top. A bar on the right joins methods whose "
        f"differences are not significant (Nemenyi's test, level {LEVEL}).",
    }
    titles = {"front.svg": "Utility and risk", "ranks.svg": "Ranks"}
    return f"## {titles[name]}\n\n![{titles[name]}]({name})\n\n{captions[name]}\n"


def _tables(comparison: Comparison, against: str | None) -> list[ResultTable]:
    values = comparison.values
    if values.empty:
        return []
    first = str(values["generator"][values["label"] == against].iloc[0]) if against else ""
    declared = declared_metrics()
    found: list[ResultTable | None] = [table for table in all_tables(values, first, declared) if table.name in SHOWN]
    if against:
        found.append(significance_table(values, against, columns(declared, "main", "privacy")))
    found += [reproduction_table(comparison.reproduced), published_table(values, first)]
    return [table for table in found if table is not None]


def _reproduction(comparison: Comparison) -> Iterator[str]:
    lines = ["## Do the paper's results repeat?", ""]
    yield "\n".join([*lines, *(f"- {escape_markdown(line)}" for line in in_words(comparison.reproduced))]) + "\n"


def _missing(comparison: Comparison) -> Iterator[str]:
    cells = frames.missing_cells(comparison.frame)
    if not cells:
        yield "## Missing results\n\nNone: every method ran on every table with every seed.\n"
        return
    rows = [[Cell(text) for text in cell] for cell in cells]
    notes = [
        "Expected are all combinations of the tables, methods and seeds that occur. If a finished run could not "
        "measure something, the reason is below the table that would show it."
    ]
    yield markdown([ResultTable("missing", "Missing results", ["table", "method", "seeds", "reason"], rows, notes)])


def _anew(comparison: Comparison, command: str) -> str:
    return (
        f"## Make this page again\n\n`{frames.FILE}` has all numbers of this page and its pictures: one row for each "
        f"run and metric. This command makes them again:\n\n```sh\n{command}\n```\n"
    )


def _minutes(number: float) -> str:
    return f"{number:g} minute{'s' * (number != 1)}"


def _listed(names: pd.Series) -> str:
    return ", ".join(sorted({str(name) for name in names})) or "none"
