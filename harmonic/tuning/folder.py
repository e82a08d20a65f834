"""The files of one tuning: the adapter, its history, and what a killed run needs to continue."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TuningFolder:
    """adapter/ and history.json in `directory`; while tuning also checkpoints/, best/, steps.json and examples."""

    directory: Path

    @property
    def adapter(self) -> Path:
        return self.directory / "adapter"

    @property
    def checkpoints(self) -> Path:
        return self.directory / "checkpoints"

    @property
    def best(self) -> Path:
        """The adapter with the lowest validation loss so far, and losses.json."""
        return self.directory / "best"

    @property
    def steps(self) -> Path:
        """The number of steps that fit into tuning.minutes."""
        return self.directory / "steps.json"

    def examples(self, process: int) -> Path:
        """The encoded examples that one process reads while it tunes."""
        return self.directory / f"examples-{process}.arrow"

    def last_checkpoint(self) -> str | None:
        """The newest complete checkpoint: trainer_state.json is the last of its files."""
        numbered = {int(path.name.rpartition("-")[2]): path for path in self.checkpoints.glob("checkpoint-*")}
        for _, path in sorted(numbered.items(), reverse=True):
            try:
                json.loads((path / "trainer_state.json").read_text())
            except (OSError, ValueError):
                continue
            return str(path)
        return None

    def write(self, save_adapter: Callable[[Path], None], points: list[dict[str, float]], *, best: bool) -> None:
        """Write adapter/ (the best one, or the last one) and history.json; then remove all other files."""
        if best and self.best.is_dir():
            shutil.copytree(self.best, self.adapter, dirs_exist_ok=True, ignore=shutil.ignore_patterns("losses.json"))
        else:
            save_adapter(self.adapter)
        (self.adapter / "README.md").unlink(missing_ok=True)  # peft's empty form of a model card
        (self.directory / "history.json").write_text(json.dumps(points))
        for scratch in (self.checkpoints, self.best):
            shutil.rmtree(scratch, ignore_errors=True)
        self.steps.unlink(missing_ok=True)
