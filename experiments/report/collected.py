"""What a report is made of: the runs in some folders, their labelled results, tables, and remarks on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from experiments.collect.declared_metrics import declared_metrics
from experiments.collect.frame import tidy
from experiments.collect.record import RunRecord
from experiments.collect.runs import read_runs
from experiments.collect.shown_metrics import columns
from experiments.report.labelled_results import measured
from experiments.report.published import published_table
from experiments.report.significance import significance_table
from experiments.report.tables import ResultTable, all_tables
from harmonic.errors import ConfigError, unknown
from harmonic.evaluation.base import Metric

DEFAULT_AGAINST = "harmonic"


@dataclass(frozen=True, slots=True)
class Collected:
    """`frame`: every number of every run; `values`: labelled results; `first`: what others are compared with."""

    records: list[RunRecord]
    frame: pd.DataFrame
    values: pd.DataFrame
    tables: list[ResultTable]
    remarks: list[str]
    first: str


def collect(outputs: Sequence[Path], against: str | None = None) -> Collected:
    """Read the runs in `outputs`. Raises ConfigError if there is no run, or no finished run has the name `against`."""
    records = read_runs(outputs)
    frame = tidy(records)
    values = measured(frame)
    chosen, remarks = _chosen(values, against)
    remarks += _outdated(records)
    found = _tables(values, chosen, declared_metrics(records))
    return Collected(records, frame, values, found, remarks, chosen or DEFAULT_AGAINST)


def _chosen(values: pd.DataFrame, against: str | None) -> tuple[str | None, list[str]]:
    """The label that the others are compared with, or None and a remark why."""
    labels = sorted(set(values["label"]))
    wanted = against or DEFAULT_AGAINST
    if wanted in labels:
        return wanted, []
    called = sorted(set(values["label"][values["generator"] == wanted]))
    if len(called) == 1:
        return called[0], []
    if against is None:
        why = f"it ran with several settings: {'; '.join(called)}" if called else "there is no finished run of it"
        return None, [f"No p-values against {wanted}: {why}. Choose a method with --against."]
    if not called:
        raise unknown("--against", against, "method", labels)
    problem = f"it ran with several settings: {'; '.join(called)}"
    raise ConfigError("--against", against, problem, f'name one of them: --against "{called[0]}"')


def _outdated(records: Sequence[RunRecord]) -> list[str]:
    """A remark about runs of older code, if there are any."""
    found = sorted({record.outdated for record in records if record.outdated})
    if not found:
        return []
    count = sum(bool(record.outdated) for record in records)
    return [
        f"{count} of the runs were made by older code than others ({'; '.join(found)}): they have separate rows and "
        "are not ranked. Run their commands again to compute what has changed."
    ]


def _tables(values: pd.DataFrame, chosen: str | None, declared: Sequence[Metric]) -> list[ResultTable]:
    if values.empty:
        return []
    first = str(values["generator"][values["label"] == chosen].iloc[0]) if chosen else DEFAULT_AGAINST
    found: list[ResultTable | None] = [*all_tables(values, first, declared)]
    if chosen:
        found.append(significance_table(values, chosen, columns(declared, "main", "privacy")))
    found.append(published_table(values, first))
    return [table for table in found if table is not None]
