"""The dashboard of some runs: written as a file, and sent to W&B, or the commands that send it later."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from experiments.report.collected import Collected
from experiments.report.dashboard.contents import Contents, contents_of, mean_table
from experiments.report.dashboard.picture import draw
from experiments.report.dashboard.pushing import Pushed, is_online, push, with_entity
from experiments.report.dashboard.specification import name_for, specification, table_name, write
from experiments.report.dashboard.sweep_run import send, sweep_id
from experiments.report.dashboard.target import Target, target_of
from harmonic.shell import quoted

logger = logging.getLogger(__name__)


def publish(
    found: Collected, outputs: Sequence[Path], folder: Path, files: Sequence[Path] = (), *, name: str | None = None,
    project: str | None = None, entity: str | None = None, picture: Path | None = None,
) -> list[str]:  # fmt: skip
    """Write dashboard.json into `folder`, and send it with the tables and `files`. Returns what to tell the user.

    `outputs`: the folders with the runs. `picture`: a file to draw the view into. Without credentials for W&B, or
    offline, nothing is sent, and the lines have the commands that send it later. Raises ConfigError if the project is
    unknown, or W&B does not take the dashboard.
    """
    target = target_of(found.records, project=project, entity=entity)
    shown = contents_of(found.records, found.values)
    spec = specification(
        name or name_for(outputs[0]), shown, found.tables, _words(found, shown), project=target.project,
        entity=target.entity, sweep_run=sweep_id(folder),
    )  # fmt: skip
    path = write(spec, folder)
    tables = {table_name(section): mean_table(found.values, part) for section, part in shown.sections.items()}
    logger.info("wrote %s", path)  # before anything can fail on the way to W&B
    if picture is not None:
        logger.info("wrote %s", draw(spec, found.records, tables, picture))
    if not is_online():
        hint = send(files, folder, target, tables)
        return later(path, outputs, target, hint)
    target = with_entity(target)
    send(files, folder, target, tables)
    return told(push(spec, target))


def told(pushed: Pushed) -> list[str]:
    """The addresses on W&B, in words."""
    found = (("view", pushed.view), ("report", pushed.report))
    return [f"{'made' if kind in pushed.new else 'updated'} the {kind}: {address}" for kind, address in found]


def later(path: Path, outputs: Sequence[Path], target: Target, hint: str | None) -> list[str]:
    """The commands that send runs, tables and dashboard when this machine is logged in."""
    where = f" --entity {target.entity}" if target.entity else ""
    kept = [folder / "wandb" for folder in outputs if any((folder / "wandb").glob("offline-run-*"))]
    runs = [f"  wandb sync {quoted(str(folder))}/offline-run-*" for folder in kept]
    return [
        "nothing was sent: this machine has no credentials for W&B, or is offline; to send it later:",
        "  wandb login", *runs, *([f"  {hint}"] if hint else []),
        f"  harmonic-dashboard {quoted(str(path))}{where}",
    ]  # fmt: skip


def _words(found: Collected, shown: Contents) -> list[str]:
    """The first paragraphs of the report: which runs these are, how to read them, and remarks."""
    results = [record for record in found.records if record.is_result]
    facts = {
        "datasets": {record.dataset for record in results}, "generators": {record.generator for record in results},
        "seeds": {str(record.seed) for record in results}, "language model": {record.llm for record in results},
    }  # fmt: skip
    counted = ", ".join(f"{count} {status}" for status, count in Counter(r.status for r in found.records).items())
    named = "; ".join(f"{key}: {', '.join(sorted(names - {''})) or 'none'}" for key, names in facts.items())
    words = [f"{len(found.records)} runs ({counted}). {named}."]
    if shown.scatters:
        words.append(
            "The scatter has the usefulness of the rows on the x-axis, and the strongest membership attack on the "
            "y-axis: an AUC of 0.5 is no better than guessing. Further right and further down is better."
        )
    words.append(
        "Bars with a line are our own means over seeds, with a standard deviation to both sides; other bars are W&B's."
    )
    return words + list(found.remarks)
