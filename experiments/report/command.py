"""The command `harmonic-report`: tables and an HTML page of many runs, as in `harmonic-report outputs`.

Reads all runs in the given folders and writes runs.parquet, runs.csv and runs_wide.csv, tables.md, tables.tex, and
report.html.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from experiments.collect.declared_metrics import declared_metrics
from experiments.collect.frame import tidy, write_frames
from experiments.collect.record import RunRecord
from experiments.collect.runs import read_runs
from experiments.collect.shown_metrics import columns
from experiments.report.labelled_results import measured
from experiments.report.published import published_table
from experiments.report.significance import significance_table
from experiments.report.tables import ResultTable, all_tables
from experiments.report.typeset import latex, markdown
from harmonic.errors import ConfigError, HarmonicError, unknown
from harmonic.evaluation.base import Metric

FORMATS = ("html", "markdown", "latex", "data")
DEFAULT_AGAINST = "harmonic"

EXAMPLES = """\
examples:
  harmonic-report outputs                            everything, into outputs/report
  harmonic-report outputs/main_results --to tables   one experiment
  harmonic-report outputs --against tabddpm          p-values of every other method against tabddpm
  harmonic-report laptop/outputs cluster/outputs     several output folders; runs in both count once
  harmonic-report --sweep-yaml experiment=comparison > sweep.yaml    then: wandb sweep sweep.yaml
"""


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    options = argparse.ArgumentParser(
        prog="harmonic-report", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EXAMPLES,
        description="Collect runs into tables (mean ± standard deviation over seeds, paired tests)\n"
        "and one HTML page with charts. Failed runs are listed.",
    )  # fmt: skip
    options.add_argument("outputs", nargs="*", type=Path, help="folders with runs")
    options.add_argument("--to", type=Path, help="where to write (default: report/ in the first of the folders)")
    options.add_argument(
        "--against", metavar="METHOD",
        help=f"the method that the others are compared with, by its name in the tables (default: {DEFAULT_AGAINST})",
    )  # fmt: skip
    options.add_argument(
        "--format", nargs="+", choices=FORMATS, default=list(FORMATS), dest="formats",
        help="what to write: html report.html · markdown tables.md · latex tables.tex · data runs.parquet, runs.csv "
        "(default: all)",
    )  # fmt: skip
    options.add_argument(
        "--details", type=int, default=12, metavar="N",
        help="show the columns of at most N runs on the page (default: 12; each takes about 150 kB)",
    )  # fmt: skip
    options.add_argument(
        "--wandb", metavar="PROJECT", nargs="?", const="harmonic",
        help="also send tables and page to Weights & Biases, as a run of type sweep (default project: harmonic)",
    )  # fmt: skip
    options.add_argument(
        "--sweep-yaml", nargs="+", metavar="KEY=VALUE", default=[],
        help="instead of a report: print the file with which agents of Weights & Biases start the jobs of "
        "harmonic -m KEY=VALUE …",
    )  # fmt: skip
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line. Exits with 2 if the folders have no runs."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if options.sweep_yaml:
            print(_sweep_yaml(options.sweep_yaml), end="")
            return
        if not options.outputs:
            raise ConfigError("outputs", "", "no folder is named", "harmonic-report outputs")
        written = make_report(
            options.outputs, options.to, against=options.against, formats=options.formats, details=options.details
        )
    except HarmonicError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    for path in written:
        print(f"wrote {path}")
    if options.wandb and written:
        from experiments.report.dashboard import send

        if hint := send(written, written[0].parent, options.wandb):
            print(f"to upload it: {hint}")


def _sweep_yaml(words: Sequence[str]) -> str:
    import yaml

    from experiments.configuration.agent_sweep import agent_sweep

    return str(yaml.safe_dump(agent_sweep(words), sort_keys=False, allow_unicode=True, width=120))


def make_report(
    outputs: Sequence[Path],
    to: Path | None = None,
    *,
    against: str | None = None,
    formats: Sequence[str] = FORMATS,
    details: int = 12,
) -> list[Path]:
    """Read the runs in `outputs`, print the main table, and write the formats into `to`. Returns the written files.

    Raises ConfigError if there is no run, or if no finished run has the name `against`.
    """
    records = read_runs(outputs)
    frame = tidy(records)
    values = measured(frame)
    chosen, remarks = _chosen(values, against)
    remarks += _outdated(records)
    found = _tables(values, chosen, declared_metrics(records))
    _print_overview(records, found, remarks)
    folder = to or outputs[0] / "report"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _write(folder, formats, records, frame, values, found, remarks, chosen or DEFAULT_AGAINST, details)
    except OSError as error:
        raise ConfigError("--to", folder, str(error), "name a folder that you may write to: --to reports") from error


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


def _write(
    folder: Path, formats: Sequence[str], records: Sequence[RunRecord], frame: pd.DataFrame, values: pd.DataFrame,
    found: Sequence[ResultTable], remarks: Sequence[str], first: str, details: int,
) -> list[Path]:  # fmt: skip
    written = write_frames(frame, folder) if "data" in formats else []
    for name, suffix, typeset in (("markdown", "md", markdown), ("latex", "tex", latex)):
        if name in formats:
            path = folder / f"tables.{suffix}"
            path.write_text(typeset(found), encoding="utf-8")
            written.append(path)
    if "html" in formats:
        from experiments.report.page import write_page

        write_page(folder / "report.html", records, values, found, remarks, first=first, most=max(details, 0))
        written.append(folder / "report.html")
    return written


def _print_overview(records: Sequence[RunRecord], found: Sequence[ResultTable], remarks: Sequence[str]) -> None:
    """Print the main table, the remarks, and the runs that are not in the tables."""
    main_tables = [table for table in found if table.name == "main"]
    if main_tables:
        print(markdown(main_tables))
    for remark in remarks:
        print(remark)
    for record in records:
        if record.status != "done":
            said = record.error.partition("\n")[0] or "still running, stopped early, or killed"
            print(f"{record.status}: {record.dataset} {record.generator} seed {record.seed}: {said}")


if __name__ == "__main__":
    main()
