"""The results of a comparison as files: `harmonic-results outputs/front --to experiments/results/2026-11-26`.

Writes results.parquet (every number of every run, with versions and machine), front.svg, ranks.svg and README.md. From
a folder with such a results.parquet, it makes the pictures and the page again.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from harmonic.errors import ConfigError, HarmonicError, suggest

HERE = Path(__file__).parent
FRONT, RANKS, PAGE = "front.svg", "ranks.svg", "README.md"
PREFERRED = "harmonic_dense"

EXAMPLES = """\
examples:
  harmonic-results outputs/front                         write into outputs/front/results
  harmonic-results outputs/front outputs/more --to results/2026-11-26
  harmonic-results results/2026-11-26                    make the pictures and the page again from the data file
"""


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    options = argparse.ArgumentParser(
        prog="harmonic-results", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EXAMPLES,
        description="The results of a comparison as files to publish: one small data file, a picture of utility and\n"
        "risk, mean ranks, and a page. Results that are missing are listed with the reason.",
    )  # fmt: skip
    options.add_argument(
        "outputs", nargs="+", type=Path, help="folders of finished runs, or one folder that this command wrote"
    )
    options.add_argument(
        "--to", type=Path, help="where to write (default: results/ in the first folder, or the folder of the data file)"
    )
    options.add_argument(
        "--against", metavar="METHOD",
        help=f"compare this method with each other one in paired tests (default: {PREFERRED}, if it is there)",
    )  # fmt: skip
    options.add_argument(
        "--this-machine", action="store_true",
        help="if a run's report does not name its machine (older versions), write down this one",
    )  # fmt: skip
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line. Exits with 2 if the folders have nothing to report."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        written = make_results(options.outputs, options.to, against=options.against, this_machine=options.this_machine)
    except HarmonicError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    for path in written:
        print(f"wrote {path}")


def make_results(
    outputs: Sequence[Path], to: Path | None = None, *, against: str | None = None, this_machine: bool = False
) -> list[Path]:
    """Write the data, the pictures and the page. Returns the written files.

    `outputs`: folders with runs, or one folder that already has a results.parquet. Raises ConfigError if there is no
    finished run, or none of a method in `against`.
    """
    from experiments.results import frame as frames
    from harmonic.runs.environment import machine

    anew = len(outputs) == 1 and (outputs[0] / frames.FILE).is_file()
    folder = to or (outputs[0] if anew else outputs[0] / "results")
    frame = frames.read(outputs[0]) if anew else frames.collect(outputs, machine() if this_machine else None)
    texts = made(frame, against=against, folder=folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        written = [frames.write(frame, folder)]
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
            written.append(folder / name)
    except OSError as error:
        raise ConfigError("--to", folder, str(error), "name a folder that you may write to: --to results") from error
    return written


def made(frame: pd.DataFrame, *, against: str | None = None, folder: Path = HERE) -> dict[str, str]:
    """The text of each file: the pictures and the page, made only from the frame and `against`.

    `folder` is named in the command that makes them again, if it is in the working folder.
    """
    from experiments.results import page
    from experiments.results.pictures import front_picture, ranks_picture

    found = page.compared(frame)
    if found.values.empty:
        fix = "see why in its run.log, or name a folder with finished runs: harmonic -m experiment=front"
        raise ConfigError("outputs", "", "no run of these finished on test rows", fix)
    chosen = _chosen(sorted(set(found.values["label"][~found.values["unranked"]])), against)
    drawn = {FRONT: front_picture(found.values), RANKS: ranks_picture(found.rankings)}
    texts = {name: text for name, text in drawn.items() if text is not None}
    more = f" --against {chosen}" if against else ""
    command = f"harmonic-results {_shown(folder)}{more}"
    return {**texts, PAGE: page.write(found, list(texts), chosen, command)}


def _chosen(labels: Sequence[str], against: str | None) -> str | None:
    if against is None:
        return PREFERRED if PREFERRED in labels else None
    if against not in labels:
        raise ConfigError("--against", against, "no finished run is called that", suggest(against, labels))
    return against


def _shown(folder: Path) -> str:
    """The folder's name on the page: below experiments/results, or only its own name."""
    return f"experiments/results/{folder.name}" if folder.resolve().parent == HERE else folder.name


if __name__ == "__main__":
    main()
