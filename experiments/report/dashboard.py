"""A sweep on Weights & Biases: one W&B run with a table of all runs, the report's page and its files."""

from __future__ import annotations

import hashlib
import logging
import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from harmonic.wandb_session import has_credentials, own_folders

logger = logging.getLogger(__name__)


def send(files: Sequence[Path], folder: Path, project: str) -> str | None:
    """Log the report's `files` in `folder` as a W&B run of job_type "sweep". Returns the command to upload it later.

    The run's id depends on the folder, so a new report updates the same run. Online if this machine has credentials, or
    as WANDB_MODE says; offline, the run is kept in `folder`/wandb.
    """
    import wandb

    folder = folder.absolute()
    with own_folders(folder):
        wandb.setup(settings=wandb.Settings(silent=True))
        mode = os.environ.get("WANDB_MODE") or ("online" if has_credentials(wandb) else "offline")
        run = wandb.init(
            project=project,
            job_type="sweep",
            name=f"sweep {folder.parent.name}",
            id=hashlib.sha256(str(folder).encode()).hexdigest()[:8],
            resume="allow",
            dir=folder,
            mode=mode,  # type: ignore[arg-type]  # W&B says what is wrong with another one
            reinit="create_new",
            settings=wandb.Settings(silent=True, console="off", save_code=False),
        )
        kept = Path(run.dir).parent
        artifact = wandb.Artifact(f"report-{run.id}", type="report")
        for file in files:
            artifact.add_file(str(file))
            if file.name == "runs_wide.csv":
                run.log({"runs": wandb.Table(dataframe=pd.read_csv(file))})
            if file.suffix == ".html":
                run.log({"report": wandb.Html(file.read_text(encoding="utf-8"), inject=False)})
        run.log_artifact(artifact)
        run.finish()
    logger.info("on W&B: %s", f"offline in {kept}" if mode == "offline" else run.url)
    return f"wandb sync {shlex.quote(str(kept))}" if mode == "offline" else None
