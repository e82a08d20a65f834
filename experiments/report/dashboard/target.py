"""Where a dashboard goes on W&B: entity (a user or a team) and project, always named and never left to a default."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from experiments.collect.record import RunRecord
from harmonic.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Target:
    """An entity, if it is known, and a project."""

    project: str
    entity: str | None = None

    def __str__(self) -> str:
        return f"{self.entity or '(your default entity)'}/{self.project}"


def target_of(records: Iterable[RunRecord], *, project: str | None = None, entity: str | None = None) -> Target:
    """Where the runs are tracked, unless `project` and `entity` say it. The entity may stay open.

    Raises ConfigError if the runs are tracked in several places, or in none.
    """
    trackers = [(record.report.get("config") or {}).get("tracker") or {} for record in records]
    projects = {str(tracker["project"]) for tracker in trackers if tracker.get("project")}
    entities = {str(tracker["entity"]) for tracker in trackers if tracker.get("entity")}
    return Target(
        project or os.environ.get("WANDB_PROJECT") or _only(projects, "--project", "tracker.project"),
        entity
        or os.environ.get("WANDB_ENTITY")
        or (_only(entities, "--entity", "tracker.entity") if entities else None),
    )


def _only(names: set[str], option: str, key: str) -> str:
    shown = ", ".join(sorted(names))
    if not names:
        raise ConfigError(option, "", f"no run was tracked, so no {key} is known", f"name it: {option} NAME")
    if len(names) > 1:
        raise ConfigError(option, shown, f"the runs differ in {key}", f"name one: {option} {sorted(names)[0]}")
    return next(iter(names))
