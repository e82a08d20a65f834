"""TabularARGN, for baselines/environments/tabularargn.py: runs in its environment, without harmonic."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

Tell = Callable[..., None]


def fit(
    *, tell: Tell, table: str, columns: dict[str, str], seed: int, settings: dict[str, Any], directory: str
) -> dict[str, Any]:
    """Train; the workspace keeps statistics and weights, but no rows."""
    import pandas as pd
    from mostlyai import engine
    from mostlyai.engine.domain import DifferentialPrivacyConfig

    private = settings.get("differential_privacy")
    private = DifferentialPrivacyConfig(**private) if private else None
    frame = pd.read_parquet(table)
    workspace = Path(directory) / "workspace"
    learnt: list[int] = []
    spent: dict[str, float] = {}

    def parted(keys: pd.Series) -> tuple[pd.Series, pd.Series]:
        """The rows to learn from, and those that decide when training ends."""
        shuffled = keys.sample(frac=1)  # from the state that is seeded below
        held = min(max(round(settings["validation"] * len(keys)), 1), len(keys) - 1)
        learnt.extend(int(key) for key in shuffled[held:])
        return shuffled[held:], shuffled[:held]

    def moved(
        total: int | None = None, completed: int | None = None, message: dict[str, Any] | None = None, **_: Any
    ) -> None:
        message = message or {}
        if message.get("is_checkpoint") and message.get("dp_eps") is not None:
            spent["epsilon"] = float(message["dp_eps"])
        notes = {name: message[key] for name, key in (("loss", "val_loss"), ("epsilon", "dp_eps")) if message.get(key)}
        if total and total > 1:  # 1 of 1 is how it says that a stage is over
            tell(completed or 0, total, **{name: f"{value:.3f}" for name, value in notes.items()})

    engine.set_random_state(seed)
    kinds = {
        name: "TABULAR_CATEGORICAL" if kind == "category" else "TABULAR_NUMERIC_AUTO" for name, kind in columns.items()
    }
    engine.split(frame, model_type="TABULAR", tgt_encoding_types=kinds, trn_val_split=parted, workspace_dir=workspace)
    engine.analyze(value_protection=settings["value_protection"], differential_privacy=private, workspace_dir=workspace)
    engine.encode(workspace_dir=workspace)
    engine.train(
        model=f"MOSTLY_AI/{settings['model']}",
        max_epochs=settings["epochs"],
        max_training_time=settings["minutes"],
        batch_size=settings["batch_size"],
        differential_privacy=private,
        device=settings["device"],
        workspace_dir=workspace,
        update_progress=moved,
    )
    if private is not None and spent.get("epsilon", 0.0) > private.max_epsilon:
        raise ValueError(
            f"the first epoch spent an epsilon of {spent['epsilon']:.2f}, and max_epsilon is {private.max_epsilon:g}: "
            "raise noise_multiplier, or max_epsilon"
        )
    for left in [*workspace.iterdir(), *(workspace / "ModelStore" / "model-data").iterdir()]:
        if left.is_dir() and left.name != "ModelStore":
            shutil.rmtree(left)  # the rows
        elif left.name in ("optimizer.pt", "lr-scheduler.pt"):
            left.unlink()  # for training on
    return {"facts": spent, "learnt": learnt, "versions": _versions()}


def sample(
    *, tell: Tell, n: int, columns: dict[str, str], seed: int, settings: dict[str, Any], directory: str, output: str
) -> dict[str, Any]:
    """Draw n rows into a Parquet file, in a copy of the workspace."""
    import pandas as pd
    from mostlyai import engine

    workspace = Path.cwd() / "workspace"
    shutil.copytree(Path(directory) / "workspace", workspace)
    engine.set_random_state(seed)
    engine.generate(
        sample_size=n,
        rare_category_replacement_method="SAMPLE",
        device=settings["device"],
        workspace_dir=workspace,
        update_progress=lambda total=None, completed=None, **_: tell(completed, total) if total == n else None,
    )
    pd.read_parquet(workspace / "SyntheticData")[list(columns)].to_parquet(output, index=False)
    return {}


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    return {name: version(name) for name in ("mostlyai-engine", "torch", "opacus", "pandas", "numpy")}
