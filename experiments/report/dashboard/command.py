"""The command `harmonic-dashboard`: a saved view and a report on Weights & Biases, made or updated by their name."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from experiments.report.collected import collect
from experiments.report.dashboard.publishing import later, publish, told
from experiments.report.dashboard.pushing import is_online, push
from experiments.report.dashboard.specification import checked_name, read
from experiments.report.dashboard.target import Target
from harmonic.errors import ConfigError, HarmonicError

EXAMPLES = """\
examples:
  harmonic-dashboard outputs                                     the runs of outputs, in the project that they are in
  harmonic-dashboard outputs/front --project synthetic --entity my-team
  harmonic-dashboard outputs --picture dashboard.png             the view as a picture, for those without an account
  harmonic-dashboard outputs/report/dashboard.json               what was written before, without a network
"""


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    options = argparse.ArgumentParser(
        prog="harmonic-dashboard", formatter_class=argparse.RawDescriptionHelpFormatter, epilog=EXAMPLES,
        description="Make a saved view and a report of runs on Weights & Biases, or update those with the same name.\n"
        "Without a login, or with WANDB_MODE=offline, they are only written as a file: dashboard.json.",
    )  # fmt: skip
    options.add_argument("outputs", nargs="+", type=Path, help="folders with runs, or one dashboard.json")
    options.add_argument("--project", metavar="NAME", help="the project on W&B (default: that of the runs)")
    options.add_argument("--entity", metavar="NAME", help="the user or team (default: of the runs, or of the account)")
    options.add_argument("--name", help="of view and report (default: harmonic FOLDER)")
    options.add_argument("--to", type=Path, help="where to write (default: report/ in the first of the folders)")
    options.add_argument("--picture", metavar="FILE", type=Path, help="also draw the view, as dashboard.png")
    return options


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line. Exits with 2 if there is nothing to show, or if W&B does not take it."""
    options = parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        name = None if options.name is None else checked_name(options.name)
        if len(options.outputs) == 1 and options.outputs[0].suffix == ".json":
            lines = send_file(options.outputs[0], name=name, project=options.project, entity=options.entity)
        else:
            folder = options.to or options.outputs[0] / "report"
            found = collect(options.outputs)
            lines = publish(
                found, options.outputs, folder, name=name, project=options.project, entity=options.entity,
                picture=options.picture,
            )  # fmt: skip
    except HarmonicError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print("\n".join(lines))


def send_file(
    path: Path, *, name: str | None = None, project: str | None = None, entity: str | None = None
) -> list[str]:
    """Send the dashboard in a file. Returns what to tell the user. Raises ConfigError if the file has no project."""
    found = read(path)
    project, entity = project or found.get("project"), entity or found.get("entity")
    if not project:
        raise ConfigError("--project", "", "the file names no project", "name it: --project NAME")
    if name is not None:
        found["name"] = name
    if not is_online():
        return later(path, [], Target(project, entity), None)
    return told(push(found, Target(project, entity)))


if __name__ == "__main__":
    main()
