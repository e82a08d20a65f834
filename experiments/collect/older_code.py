"""Which of several runs were made by older code than the others: their numbers are of another make."""

from __future__ import annotations

from dataclasses import replace

from experiments.collect.record import RunRecord
from harmonic.runs.identity import class_name


def mark_outdated(records: list[RunRecord]) -> list[RunRecord]:
    """Results that are of older code than other results among these: they must not be averaged, nor compared."""
    newest: dict[tuple[str, str], int] = {}
    for record in filter(lambda record: record.is_result, records):
        for of, version in _versions(record).items():
            newest[of] = max(version, newest.get(of, 0))
    marked = []
    for record in records:
        older = {of: version for of, version in _versions(record).items() if version < newest.get(of, 0)}
        said = ", ".join(f"{stage} {version}" for (_, stage), version in older.items())
        marked.append(replace(record, outdated=said if record.is_result else ""))
    return marked


def _versions(record: RunRecord) -> dict[tuple[str, str], int]:
    """The version of each stage's code by (whose, stage); 0 for stages of runs from before there were any.

    A generator's stages are its own; the others are the same code for all.
    """
    config, told = record.report.get("config", {}), record.report.get("stage_versions", {})
    own = class_name(str((config.get("generator") or {}).get("_target_", record.generator)))
    named = {*told, "file", "completion", *record.report.get("stages", {})} - {"split", "evaluate"}
    return {
        (own if stage in ("prompts", "fit", "sample") else "", stage): told.get(stage, 0) for stage in sorted(named)
    }
