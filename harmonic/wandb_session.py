"""Weights & Biases on this machine: credentials, folders, an agent that started this process, and the id of a run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from harmonic.storage import key_of

ID_FILE = "wandb_id"
"""In a run's folder: the id under which W&B has the run."""


def agent_run() -> str | None:
    """The id of the run that an agent of W&B (`wandb agent`) has begun for this process; None without an agent."""
    return os.environ.get("WANDB_RUN_ID") if os.environ.get("WANDB_SWEEP_ID") else None


def tracked_id(folder: Path, run_id: str) -> str:
    """The id on W&B of the run in `folder`; kept in the folder, so that the run is continued under it.

    An agent's run keeps the agent's id. Otherwise the id is the run id and a digest of the folder's path: the same
    settings in two output folders are two runs on W&B, and neither overwrites the other. A folder with a report and
    without a kept id is of earlier code, which used the run id alone.
    """
    kept, agent = folder / ID_FILE, agent_run()
    if kept.is_file() and (known := kept.read_text(encoding="utf-8").strip()):
        own = known
    elif (folder / "report.json").is_file():
        own = run_id
    else:
        own = agent or f"{run_id}-{key_of({'folder': str(folder.absolute())})[:6]}"
        kept.write_text(f"{own}\n", encoding="utf-8")
    return agent or own


def forget_service() -> None:
    """Let W&B start a new service process for the next run of this one."""
    with suppress(Exception):  # a service that was killed cannot be told to end
        import wandb

        wandb.teardown()


def has_credentials(wandb: Any) -> bool:
    """Whether this machine has a key for W&B, in an environment variable, netrc or settings. No network is used."""
    from wandb.sdk.lib import wbauth

    host = wandb.setup().settings.base_url
    found = wbauth.authenticate_session(host=host, source="harmonic", prompt=False, update_session=False)
    return found is not None


@contextmanager
def own_folders(output_dir: Path) -> Iterator[None]:
    """Let W&B keep its logs and staged artifacts below the output folder, unless the user chose another one.

    By default it uses the home folder. That may not be writable, and `wandb sync` misses them there if the outputs are
    copied to another machine for the upload.
    """
    base = output_dir.absolute() / "wandb"
    ours = {"WANDB_DATA_DIR": str(base), "WANDB_CACHE_DIR": str(base / "cache")}
    ours = {name: folder for name, folder in ours.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)
