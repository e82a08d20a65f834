"""The end of an audit: the privacy card of each run of the sweep, and a table of all (conf/experiment/audit.yaml)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig


class PrintCards(Callback):
    """Hydra's hook: prints the cards of the runs that the sweep's records name (experiments/sweep.py)."""

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print them; runs that failed have none, and the sweep's summary names them."""
        from experiments.card import print_cards

        jobs = [json.loads(path.read_text("utf-8")) for path in Path(config.hydra.sweep.dir).glob("jobs/*.json")]
        done = [Path(job["run"]) for job in jobs if job["status"] in ("done", "skipped") and "run" in job]
        if done:
            print_cards(done)
