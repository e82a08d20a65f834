"""The W&B run of a sweep, of job_type "sweep": tables of all runs and of means, the report's page and its files."""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from experiments.report.dashboard.target import Target
from harmonic.wandb_session import has_credentials, own_folders

logger = logging.getLogger(__name__)


def sweep_id(folder: Path) -> str:
    """The id on W&B: it depends on the folder of the report, so that a new report updates the same run."""
    return hashlib.sha256(str(folder.absolute()).encode()).hexdigest()[:8]


def send(files: Sequence[Path], folder: Path, target: Target, tables: Mapping[str, pd.DataFrame]) -> str | None:
    """Log `tables` by their names, and the `files` of the report in `folder`. Returns the command to upload it later.

    Online if this machine has credentials, or as WANDB_MODE says; offline, the run is kept in `folder`/wandb.
    """
    import wandb

    folder = folder.absolute()
    with own_folders(folder):
        wandb.setup(settings=wandb.Settings(silent=True))
        mode = os.environ.get("WANDB_MODE") or ("online" if has_credentials(wandb) else "offline")
        run = wandb.init(
            project=target.project,
            entity=target.entity,
            job_type="sweep",
            name=f"sweep {folder.parent.name}",
            id=sweep_id(folder),
            resume="allow",
            dir=folder,
            mode=mode,  # type: ignore[arg-type]  # W&B says what is wrong with another one
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", save_code=False),
        )
        kept = Path(run.dir).parent
        for name, table in tables.items():
            run.log({name: wandb.Table(dataframe=table)})
        artifact = wandb.Artifact(f"report-{run.id}", type="report")
        for file in files:
            artifact.add_file(str(file))
            if file.suffix == ".html":
                run.log({"report": wandb.Html(file.read_text(encoding="utf-8"), inject=False)})
        if files:
            run.log_artifact(artifact)
        run.finish()
    logger.info("on W&B: %s", f"offline in {kept}" if mode == "offline" else run.url)
    return f"wandb sync {shlex.quote(str(kept))}" if mode == "offline" else None
