"""Choosing as a Hydra sweeper: tries methods on validation rows in limited time, and measures the best on test rows.

The test rows are those that the dataset's own split has for this seed. While choosing, more rows are held back to
compare methods; then the chosen method learns from the split's own training rows, as in a usual run.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from experiments.choosing.choice import Candidate, Choice, candidate, decide, measure_of
from experiments.choosing.shares import SHARE, allowance, choosing_split
from experiments.choosing.telling import judged, page, table_of, verdict
from experiments.configuration.hydra_errors import resolved
from experiments.sweeps.lost_jobs import launch_all
from harmonic.errors import ConfigError
from harmonic.shell import quoted
from harmonic.storage import write_json

logger = logging.getLogger(__name__)

NO_TIME = "not started: no time was left"


@dataclass
class Choose(Sweeper):
    """Tries the methods in `params` or in the command, in their order; see conf/hydra/sweeper/choose.yaml."""

    params: dict[str, str] | None = None
    _launcher: Any = field(default=None, init=False)
    _count: int = field(default=0, init=False)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store what launching needs."""
        self.hydra_context, self.config = hydra_context, config
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Try, choose, measure the chosen method, and print the result. Raises ConfigError before anything is run."""
        started = time.monotonic()
        assert self.config is not None
        fixed, generators = self._parted(arguments)
        plain = self._composed([*fixed, f"generator={generators[0]}"])
        settings = plain.get("choose")
        if settings is None:
            raise ConfigError("choose", "(nothing)", "has no settings", "harmonic -m experiment=choose")
        split, own = self._splits(plain, settings)
        for name in generators:
            self._composed([*fixed, f"generator={name}"])
        folder = Path(self.config.hydra.sweep.dir)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        reports, reasons = self._tried(fixed, generators, split, settings, started)
        measure = measure_of([report for report in reports.values() if report["generator"] in generators])
        tried = [
            candidate(name, reports[name], measure) if name in reports else Candidate(name, why=reasons[name])
            for name in generators
        ]
        choice = decide(tried, measure, settings["risk"])
        self._tell(choice, fixed, own, settings, reports, folder, started)

    def _tried(
        self, fixed: list[str], generators: Sequence[str], split: str, settings: dict[str, Any], started: float
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """The reports of the finished runs, and why other methods have none."""
        reports: dict[str, Any] = {}
        reasons: dict[str, str] = {}
        slowest = 0.0  # what is taken is run once more, and that needs its time, too
        for name in generators:
            left = 60 * settings["minutes"] - (time.monotonic() - started) - slowest
            given = allowance(settings["minutes"], left / 60)
            if given is None:
                reasons[name] = NO_TIME
                logger.info("%s: %s", name, NO_TIME)
                continue
            began = time.monotonic()
            words = [*fixed, f"generator={name}", split, "evaluate_on=validation", *self._minutes(fixed, given)]
            record = self._launched(words)
            slowest = max(slowest, time.monotonic() - began)
            if record["status"] in ("done", "skipped"):
                report = json.loads((Path(record["run"]) / "report.json").read_text(encoding="utf-8"))
                reports[name] = {**report, "folder": record["run"]}
            else:
                reasons[name] = str(record.get("error", record["status"])).partition("\n")[0]
        return reports, reasons

    def _tell(
        self, choice: Choice, fixed: list[str], own: str, settings: dict[str, Any], reports: dict[str, Any],
        folder: Path, started: float,
    ) -> None:  # fmt: skip
        """Print the table and the choice, run the chosen method on the test rows, and write everything to files."""
        from experiments.report.typeset import markdown

        title = f"Methods on {next(iter(reports.values()))['dataset']}" if reports else "Methods"
        lines = list(verdict(choice))
        told: dict[str, Any] = {"measure": choice.measure, "limit": choice.limit, "taken": None, "run": None}
        if choice.taken is not None:
            told["taken"] = choice.taken.generator
            final = [*fixed, f"generator={choice.taken.generator}", own, "evaluate_on=test"]
            record = self._launched([*final, *self._minutes(fixed, SHARE * settings["minutes"])], needed=True)
            if record["status"] in ("done", "skipped"):
                run = Path(record["run"])
                report = json.loads((run / "report.json").read_text(encoding="utf-8"))
                more = list(judged(choice, report, run, read_before(run, report)))
                told["run"] = str(run)
            else:
                more = [f"It could not be measured on the test rows: {record.get('error', record['status'])}"]
            lines += more
        picture = _picture(choice, reports)
        if picture is not None:
            (folder / "front.svg").write_text(picture, encoding="utf-8")
        lines.append(f"Time: {(time.monotonic() - started) / 60:.1f} of {settings['minutes']:g} minutes.")
        (folder / "choice.md").write_text(page(choice, lines, title, picture is not None), encoding="utf-8")
        write_json(folder / "choice.json", told)
        print("\n".join(["", markdown([table_of(choice, title)]), *lines]))
        print(f"wrote {folder / 'choice.md'}" + (f", {folder / 'front.svg'}" if picture else ""), flush=True)

    def _launched(self, words: list[str], needed: bool = False) -> dict[str, Any]:
        """The record of the job with these words; a failed one gets the status "aside" unless it is `needed`."""
        number, self._count = self._count, self._count + 1
        assert self.config is not None
        folder = Path(self.config.hydra.sweep.dir)
        launch_all(self._launcher, {number: words}, number, folder)
        path = folder / "jobs" / f"{number}.json"
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if record["status"] == "failed" and not needed:
            write_json(path, {**record, "status": "aside"})
        return record

    def _parted(self, arguments: Sequence[str]) -> tuple[list[str], list[str]]:
        """The words that all jobs have in common, and the generators."""
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        words = [*(f"{key}={value}" for key, value in (self.params or {}).items()), *arguments]
        found = {one.get_key_element(): one for one in parser.parse_overrides(words)}
        named = found.pop("generator", None)
        for key, one in found.items():
            if one.is_sweep_override():
                problem = "has several values, but a choice is for one table and one seed"
                fix = quoted(f"{key}={next(one.sweep_string_iterator())}")
                raise ConfigError(key, str(one.input_line).partition("=")[2], problem, fix)
        if named is None:
            raise ConfigError("generator", "(nothing)", "names no method to choose from", "generator=smote,tvae,tabsyn")
        names = list(named.sweep_string_iterator()) if named.is_sweep_override() else [str(named.value())]
        kept = {"generator", *(self.params or {})}
        fixed = [word for word, one in zip(words, parser.parse_overrides(words), strict=True)
                 if one.get_key_element() not in kept]  # fmt: skip
        return fixed, names

    def _composed(self, words: list[str]) -> dict[str, Any]:
        """The checked configuration of a job; its errors come before any work."""
        assert self.hydra_context is not None and self.config is not None
        return resolved(self.hydra_context.config_loader.load_sweep_config(self.config, words))

    def _splits(self, plain: dict[str, Any], settings: dict[str, Any]) -> tuple[str, str]:
        """The split while choosing, and the dataset's own, as overrides."""
        own = plain["dataset"]["split"]
        split = choosing_split(own, settings["validation"])
        if split["train"] <= split["val"]:
            most = round((1 - split["test"]) / 2, 3)
            problem = f"leaves {split['train']:.0%} of the rows to learn from, and {split['test']:.0%} test rows"
            raise ConfigError("choose.validation", settings["validation"], problem, f"choose.validation below {most:g}")
        return _split_word(split), _split_word(own)

    def _minutes(self, fixed: Sequence[str], given: float) -> list[str]:
        """The time limit for fitting a method, unless the command sets one."""
        return [] if any(word.startswith("minutes=") for word in fixed) else [f"minutes={given:g}"]


def _split_word(split: dict[str, float]) -> str:
    return "dataset.split={" + ", ".join(f"{part}: {share:.12g}" for part, share in split.items()) + "}"


def read_before(run: Path, report: dict[str, Any]) -> list[str]:
    """The generators of other finished runs of the experiment that were measured on the same test rows."""
    found = set()
    for path in run.parents[1].glob("*/*/report.json"):
        try:
            other = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        same = other.get("data") == report["data"] and other.get("status") == "done"
        if same and other["config"].get("evaluate_on") == "test" and other["run_id"] != report["run_id"]:
            found.add(str(other["generator"]))
    return sorted(found)


def _picture(choice: Choice, reports: dict[str, Any]) -> str | None:
    """The picture of utility against risk; None if no method has both numbers."""
    from experiments.collect.frame import tidy
    from experiments.collect.record import read_run
    from experiments.collect.shown_metrics import MetricColumn
    from experiments.report.labelled_results import measured
    from experiments.results.pictures import front_picture

    records = [read_run(Path(report["folder"])) for report in reports.values()]
    if not records:
        return None
    values = measured(tidy(records).assign(evaluated_on="test"))  # the picture knows no other rows
    return front_picture(values, MetricColumn(choice.measure, choice.measure), "choice", limit=choice.limit)


# Hydra takes sweepers of its plugin package alone, so this module goes by that name, too.
Choose.__module__ = "hydra_plugins.harmonic_choice"
sys.modules[Choose.__module__] = sys.modules[__name__]
Plugins.instance().register(Choose)
