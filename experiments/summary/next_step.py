"""What to do after a run, by rules from its report: a reason and a command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from experiments.card.numbers import Report, measured
from experiments.card.reading import Level, gravest

LOW = 0.5
"""Below this position between independent columns (0) and real rows (1), more learning is advised."""
OF_THE_DATA = ("dataset", "data_dir", "output_dir")


def next_step(report: Report, position: float | None) -> str:
    """The most urgent step, and a step before a release: one line each, with its command."""
    config = report["config"]
    if str((config.get("generator") or {}).get("_target_", "")).startswith("baselines.anchors."):
        compared = _command(report, "generator=harmonic_dense")
        return f"these rows are for comparison, not for release; the default method: {compared}"
    steps = [*_mending(report, position), *_looking(report)][:1] + [*_before_release(report)][:1]
    return "\n".join(f"{why}: {_command(report, change)}" for why, change in steps)


def _mending(report: Report, position: float | None) -> Iterator[tuple[str, str]]:
    """What to change if rows reveal training rows or are of little use."""
    generator = report["config"].get("generator") or {}
    tuning, sampling = generator.get("tuning") or {}, generator.get("sampling") or {}
    if gravest(report) is Level.FOUND:
        if sampling.get("context", "synthetic") != "synthetic":
            yield "to reveal less, use prompts without real rows", "generator.sampling.context=synthetic"
        elif report["generator"].startswith("harmonic"):
            yield "to see what other methods reveal, side by side", "-m experiment=privacy"
        else:
            yield "to reveal less, try another method", "generator=harmonic_dense"
    if position is not None and position < LOW:
        yield _learning(report, tuning)


def _learning(report: Report, tuning: dict[str, Any]) -> tuple[str, str]:
    """How the generator can learn more."""
    most, rows = tuning.get("max_examples"), report.get("rows", {}).get("train", 0)
    if most is not None and most < rows:
        return f"for more useful rows, learn from all {rows:,} rows", "generator.tuning.max_examples=null"
    limits = [key for key in ("passes", "max_tokens", "minutes") if tuning.get(key)] or ["epochs"]
    if tuning.get(limits[0]):
        longer = " ".join(f"generator.tuning.{key}={2 * tuning[key]:.12g}" for key in limits)
        return "for more useful rows, tune longer", longer
    return "for more useful rows, try another method", "generator=harmonic_dense"


def _looking(report: Report) -> Iterator[tuple[str, str]]:
    """What was not measured, or not precisely."""
    if not any(name.startswith(("mle/", "yardstick/")) for name in report["metrics"]):
        yield "to see how useful the rows are", "evaluator=full"
    rows = report.get("rows", {})
    if rows and rows["synthetic"] < rows["train"]:
        yield f"for more precise metrics, draw as many rows as the table has ({rows['train']:,})", "n_samples=null"


def _before_release(report: Report) -> Iterator[tuple[str, str]]:
    """What to do before a release."""
    if (report["config"].get("canaries") or {}).get("count"):
        yield "for a release, run without planted rows", "canaries.count=0"
    if measured(report, "anonymeter/linkability") is None:
        yield "before a release, measure all of privacy", "evaluator=audit"
    else:
        yield "for a result and not only an indication, run three seeds", "-m seed=0,1,2"


def _command(report: Report, change: str) -> str:
    """The run's command with this change; only the change if the report does not have the command."""
    given = report.get("overrides")
    if given is None:
        return f"harmonic {change} (and the other settings of this run)"
    changed = [word.partition("=")[0] for word in change.split() if word != "-m"]
    if changed == ["experiment"]:  # a preset chooses the other parts itself
        kept = [one for one in given if one.partition("=")[0].partition(".")[0] in OF_THE_DATA]
    else:
        kept = [one for one in given if not any(_of(one, key) for key in changed)]
    return " ".join(["harmonic", *map(shlex.quote, kept), change])


def _of(override: str, key: str) -> bool:
    """Whether the override sets this key, or a key below it."""
    own = override.lstrip("+~").partition("=")[0]
    return own == key or own.startswith(f"{key}.")
