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

from experiments.collect.frame import write_frames
from experiments.report.collected import DEFAULT_AGAINST, Collected, collect
from experiments.report.typeset import latex, markdown
from harmonic.errors import ConfigError, HarmonicError

FORMATS = ("html", "markdown", "latex", "data")

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
        "--wandb", metavar="PROJECT", nargs="?", const="",
        help="also send tables and page to Weights & Biases, and make or update a view and a report there, as "
        "harmonic-dashboard does (default project: that of the runs)",
    )  # fmt: skip
    options.add_argument("--entity", metavar="NAME", help="the user or team on Weights & Biases (default: of the runs)")
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
        found = collect(options.outputs, options.against)
        written = make_report(
            options.outputs, options.to, formats=options.formats, details=options.details, collected=found
        )
        for path in written:
            print(f"wrote {path}")
        if options.wandb is not None:
            from experiments.report.dashboard.publishing import publish

            folder = options.to or options.outputs[0] / "report"
            lines = publish(found, options.outputs, folder, written, project=options.wandb, entity=options.entity)
            print("\n".join(lines))
    except HarmonicError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


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
    collected: Collected | None = None,
) -> list[Path]:
    """Read the runs in `outputs`, print the main table, and write the formats into `to`. Returns the written files.

    `collected`: the runs, if they were read before.
    Raises ConfigError if there is no run, or if no finished run has the name `against`.
    """
    found = collected or collect(outputs, against)
    _print_overview(found)
    folder = to or outputs[0] / "report"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _write(folder, formats, found, details)
    except OSError as error:
        raise ConfigError("--to", folder, str(error), "name a folder that you may write to: --to reports") from error


def _write(folder: Path, formats: Sequence[str], found: Collected, details: int) -> list[Path]:
    written = write_frames(found.frame, folder) if "data" in formats else []
    for name, suffix, typeset in (("markdown", "md", markdown), ("latex", "tex", latex)):
        if name in formats:
            path = folder / f"tables.{suffix}"
            path.write_text(typeset(found.tables), encoding="utf-8")
            written.append(path)
    if "html" in formats:
        from experiments.report.page import write_page

        page = folder / "report.html"
        write_page(
            page, found.records, found.values, found.tables, found.remarks, first=found.first, most=max(details, 0)
        )
        written.append(page)
    return written


def _print_overview(found: Collected) -> None:
    """Print the main table, the remarks, and the runs that are not in the tables."""
    main_tables = [table for table in found.tables if table.name == "main"]
    if main_tables:
        print(markdown(main_tables))
    for remark in found.remarks:
        print(remark)
    for record in found.records:
        if record.status != "done":
            said = record.error.partition("\n")[0] or "still running, stopped early, or killed"
            print(f"{record.status}: {record.dataset} {record.generator} seed {record.seed}: {said}")


if __name__ == "__main__":
    main()
