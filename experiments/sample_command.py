"""The command `harmonic-sample`: more rows from a finished run, also under conditions.

Example: `harmonic-sample RUN_FOLDER n=500 'condition={Outcome: 1}'`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.sample_again import read_settings, sample_again
from harmonic.errors import HarmonicError

SETTINGS = """\
settings, each as key=value (quote those with braces or spaces for the shell):
  n=500                           rows to draw (default: as many as the run drew)
  seed=1                          each seed gives other rows than the run and than other seeds (default: 0)
  temperature=0.9                 of a language generator (default: the run's)
  out=more.csv                    where to write (default: samples/<name>.csv in the run's folder)
  'condition={Outcome: 1}'        values of columns, as in the file; several of one column: {Job: [nurse, clerk]}
  'range={Age: [18, 65]}'         bounds of numbers and dates, both included; no upper bound: {Age: [18, null]}
  budget=50000                    most rows to draw, for generators that draw and reject (default: 100 n, at least 2000)
  shards=8                        for very many rows: divide them into 8 shards (default: all rows in one CSV file)
  launcher=joblib                 with shards: a job for each, side by side: joblib (this machine), slurm or ray; local:
                                  one after another, as without launcher, but a shard that fails leaves the others
  hydra.launcher.n_jobs=4         with launcher: how it runs the jobs, as for sweeps of `harmonic -m`
  shard=3                         with shards: draw only the fourth, counted from 0, for queues of other kinds
  part_rows=1000                  with shards: rows of each file (default: 4096)

Every row satisfies every condition. HARMONIC follows them while it writes a row, and its prompts show training rows
that satisfy them (where these are few, new rows may be close to them, and a warning says so). Other generators draw
rows until enough of them satisfy the conditions. <name>.json beside the rows says how they were drawn. New identifiers
differ from those of the run. A condition on an identifier, or on another column that is not learnt, is an error.

With shards the rows are a folder of Parquet files. Any number of processes may draw shards at the same time, and the
rows are the same for any number of shards, with any launcher. A job that was killed leaves the others whole, and the
same command again draws only what is missing. The process that finds all rows there writes <name>.json.

examples:
  harmonic-sample outputs/runs/diabetes/harmonic/seed0-1a2b3c4d n=500
  harmonic-sample RUN_FOLDER n=200 seed=3 'condition={Outcome: 1}' 'range={Age: [18, 65], BMI: [30, null]}'
  harmonic-sample RUN_FOLDER n=1000000 shards=8 launcher=slurm hydra.launcher.partition=gpu
  harmonic-sample RUN_FOLDER n=1000000 shards=8 shard=3
  harmonic-sample RUN_FOLDER 'range={admitted: [2024-01-01, 2024-06-30]}' out=first_half.csv
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line. Exits with 1 on an error, which is printed with its fix."""
    options = argparse.ArgumentParser(
        prog="harmonic-sample", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=SETTINGS,
        description="Draw more rows from a finished run. The run's own files stay as they are.",
    )  # fmt: skip
    options.add_argument("run", type=Path, metavar="RUN_FOLDER", help="the folder with the run's report.json")
    options.add_argument("settings", nargs="*", metavar="key=value", help="see below")
    given = options.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        wanted = read_settings(given.settings)
        if wanted.launcher is None:
            written = sample_again(given.run, wanted)
        else:
            from experiments.sample_sweep import sample_side_by_side  # loads Hydra

            written = sample_side_by_side(given.run, given.settings)
    except HarmonicError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    for path in written:
        print(f"wrote {path}")


if __name__ == "__main__":
    main()
