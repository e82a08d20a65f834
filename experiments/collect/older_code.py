"""Finds runs that were made by older code than other runs: their numbers cannot be compared."""

from __future__ import annotations

from dataclasses import replace

from experiments.collect.record import RunRecord
from harmonic.runs.identity import class_name


def mark_outdated(records: list[RunRecord]) -> list[RunRecord]:
    """Set `outdated` in the results of older code: they must not be averaged or compared with the others."""
    newest: dict[tuple[str, str], int] = {}
    for record in filter(lambda record: record.is_result, records):
        for of, version in _versions(record).items():
            newest[of] = max(version, newest.get(of, 0))
    marked = []
    for record in records:
        older = {of: version for of, version in _versions(record).items() if version < newest.get(of, 0)}
        stages = ", ".join(f"{stage} {version}" for (_, stage), version in older.items())
        marked.append(replace(record, outdated=stages if record.is_result else ""))
    return marked


def _versions(record: RunRecord) -> dict[tuple[str, str], int]:
    """The version of each stage's code by (generator, stage); 0 for runs from before there were versions.

    Stages that all generators share have "" for the generator.
    """
    config, versions = record.report.get("config", {}), record.report.get("stage_versions", {})
    own = class_name(str((config.get("generator") or {}).get("_target_", record.generator)))
    named = {*versions, "file", "completion", *record.report.get("stages", {})} - {"split", "evaluate"}
    return {
        (own if stage in ("prompts", "fit", "sample") else "", stage): versions.get(stage, 0) for stage in sorted(named)
    }
