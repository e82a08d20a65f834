"""What a preset prints at the end of its sweep: cards after an audit, tables after a comparison (conf/experiment)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class PrintCards(Callback):
    """Hydra callback: prints the privacy card of each run of the sweep, and a table of all."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print them. Failed runs have no card; the sweep's summary names them."""
        from experiments.card.privacy_card import print_cards

        if done := ended_well(config):
            print_cards(done)


class PrintTables(Callback):
    """Hydra callback: prints tables of the runs of the sweep. `names`: those of experiments.report.tables."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print the tables that have values, including those of ablations."""
        from experiments.collect.declared_metrics import declared_metrics
        from experiments.collect.frame import tidy
        from experiments.collect.runs import read_runs
        from experiments.report.labelled_results import measured
        from experiments.report.tables import all_tables
        from experiments.report.typeset import markdown

        if not (done := ended_well(config)):
            return
        records = read_runs(done)
        values = measured(tidy(records))
        if values.empty:  # runs that ended after fit, or that were measured on validation rows
            return
        found = [
            table
            for table in all_tables(values, declared=declared_metrics(records))
            if table.name.partition("_")[0] in self.names
        ]
        if found:
            print(markdown(found), flush=True)


def ended_well(config: DictConfig) -> list[Path]:
    """The folders of the sweep's runs that are done, now or before (experiments.sweeps.records)."""
    jobs = [json.loads(path.read_text("utf-8")) for path in Path(config.hydra.sweep.dir).glob("jobs/*.json")]
    return [Path(job["run"]) for job in jobs if job["status"] in ("done", "skipped") and "run" in job]
