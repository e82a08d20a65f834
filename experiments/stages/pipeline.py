"""The stages of one run. Each comes from the cache if nothing that it depends on has changed."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from experiments.card.privacy_card import place_card
from experiments.stages.keys import StageInputs, stage_versions
from experiments.stages.measuring import broken_rules, measured_by, refit_of, scorer_of, sizes
from experiments.stages.products import read_csv, read_history, released, write_csv, write_measures
from experiments.stages.timing import check_time, stopped_in_time
from experiments.summary.plan import print_columns, print_declared, print_plan
from experiments.summary.run_summary import print_summary
from harmonic.errors import ConfigError
from harmonic.evaluation.base import Evaluator
from harmonic.evaluation.result_cache import caching_results
from harmonic.generators.base import Generator, LanguageGenerator
from harmonic.generators.ruled import fitted_to
from harmonic.runs.cache import Entry
from harmonic.runs.run import Run
from harmonic.tables.canaries import uproot
from harmonic.tables.missing_values import Imputation
from harmonic.tables.reading.declared import write_columns
from harmonic.tables.reading.files import write_parquet
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table
from harmonic.tables.training_view import for_generators
from harmonic.time_limit import time_limit
from harmonic.tracking import Tracker

logger = logging.getLogger(__name__)

TUNED_ON = ("train.jsonl", "validation.jsonl")


class Entries(NamedTuple):
    """The cache entries of the stages before `evaluate`."""

    prompts: Entry
    fitted: Entry
    sampled: Entry


@dataclass
class Pipeline:
    """Takes one run from its data to its report.

    `split_seconds`: how long loading and splitting the data took. `overrides`: the words of the command line for the
    report; None if there was none. `table`: a digest of the file with the rows, since two files are two tables.
    """

    run: Run
    splits: Splits
    config: dict[str, Any]
    generator: Generator
    evaluators: Mapping[str, Evaluator]
    tracker: Tracker
    split_seconds: float = 0.0
    overrides: list[str] | None = None
    table: str | None = None
    _unfitted: Generator = field(init=False)  # for evaluators that fit it to other rows
    _loaded: bool = False

    def __post_init__(self) -> None:
        """Prepare the generator for the table: its rules, and the values that it cannot handle itself."""
        versions = stage_versions(type(self.generator), {name: type(one) for name, one in self.evaluators.items()})
        self.given = for_generators(self.splits)
        self.inputs = StageInputs(self.config, self.splits, self.n, self.run.seed, versions)
        self.imputation = Imputation.of(self.splits.train)
        self._unfitted = copy.deepcopy(self.generator)
        self.generator = fitted_to(self.generator, self.given)

    @property
    def n(self) -> int:
        """The number of rows to draw."""
        wanted = self.config["n_samples"]
        return len(self.splits.train) if wanted is None else int(wanted)

    @property
    def minutes(self) -> float | None:
        """That fitting may take, and drawing as many."""
        return self.config.get("minutes")

    def execute(self, last: str) -> None:
        """Run the stages up to `last`. The tracker is closed in any case."""
        if self.n < 2:
            raise ConfigError("n_samples", self.n, "a table needs at least 2 rows", "n_samples=100, or null")
        if self.config["dataset"].get("path"):  # a user's own file: show which types its columns got
            print_columns(self.splits, self.config["dataset"]["name"])
        self.tracker.start(self.run)
        try:
            with self.run:
                self.run.report["overrides"] = self.overrides
                self.run.report["table"] = self.table
                self.run.report["people"] = None if self.splits.people is None else asdict(self.splits.people)
                self.run.report["stages"]["split"] = {"seconds": round(self.split_seconds, 3), "cached": False}
                self._stages(last)
        finally:
            self.tracker.finish(self.run)
        self.show()

    def send_again(self) -> None:
        """Send the results of a run that was finished before, if an agent of W&B waits for them."""
        if self.tracker.awaited:
            self.tracker.start(self.run)
            self.run.report = json.loads((self.run.folder / "report.json").read_text(encoding="utf-8"))
            self.tracker.finish(self.run)

    def follow(self) -> None:
        """Tune together with the first process of `accelerate launch`, which writes the cache and the report."""
        with TemporaryDirectory(prefix="harmonic-") as folder:
            prepared = Path(folder)
            self.generator.prepare(self.given, self.n, seed=self.run.seed, directory=prepared)
            digests = [_digest(file) if file.is_file() else None for file in map(prepared.joinpath, TUNED_ON)]
            inputs = self.inputs.fit(*digests)
            if self.run.force or self.run.cache.find("fit", inputs) is None:
                shared = self.run.cache.partial("fit", inputs)  # every process reads the checkpoints
                with time_limit(self.minutes):
                    self.generator.fit(self.given, seed=self.run.seed, prepared=prepared, directory=shared)

    def show(self) -> None:
        """Print the run's results, its files, and how to upload it."""
        report = json.loads((self.run.folder / "report.json").read_text(encoding="utf-8"))
        metrics = [metric for evaluator in self.evaluators.values() for metric in evaluator.metrics]
        print_summary(report, self.run.folder, metrics, self.tracker.sync_hint(), self.config["summary"])

    def plan(self) -> None:
        """Prepare and check the prompts, and print what the run would do."""
        with self.run:
            prompts = self._prompts()
            expected = self.generator.estimate(self.given, self.n, prepared=prompts.path)
        print_plan(self.config, self.splits, self.n, prompts.path, self.run.folder, expected)
        if self.config["dataset"].get("path"):
            write_columns(self.splits.schema, self.splits.layout, columns := self.run.folder / "columns.yaml")
            print_declared(columns)

    def _stages(self, last: str) -> None:
        prompts = self._prompts()
        if last == "prompts":
            return
        fitted = self._fit(prompts)
        if last == "fit":
            return
        sampled = self._sample(prompts, fitted)
        if last == "sample":
            return
        with caching_results(self.run.cache, force=self.run.force):
            found = self._evaluate(Entries(prompts, fitted, sampled))
        place_card(self.run)
        self.run.finish(*found)

    def _prompts(self) -> Entry:
        def build(folder: Path) -> dict[str, Any]:
            self.generator.prepare(self.given, self.n, seed=self.run.seed, directory=folder)
            return {file.stem: _digest(file) for file in sorted(folder.glob("*.jsonl"))}  # train, sample, validation

        entry = self.run.stage("prompts", self.inputs.prompts(), build)
        if entry.facts.get("train"):
            self.run.place(entry.path, "prompts")
        if (entry.path / "prompt_fit.json").is_file():
            self.run.report["prompts"] = json.loads((entry.path / "prompt_fit.json").read_text(encoding="utf-8"))
        if (entry.path / "coverage.json").is_file():
            self.run.report["coverage"] = json.loads((entry.path / "coverage.json").read_text(encoding="utf-8"))
        self.run.record()
        return entry

    def _fit(self, prompts: Entry) -> Entry:
        def build(folder: Path) -> dict[str, Any]:
            if isinstance(self.generator, LanguageGenerator):
                self.generator.history = self.tracker.log
            for line in self.generator.estimate(self.given, self.n, prepared=prompts.path):
                logger.info("%s", line)
            with time_limit(self.minutes) as limit:
                facts = self.generator.fit(self.given, seed=self.run.seed, prepared=prompts.path, directory=folder)
            return {**facts, **({"ended_by_time": True} if limit and limit.ended else {})}

        inputs = self.inputs.fit(*map(prompts.facts.get, ("train", "validation")))
        entry = self.run.stage("fit", inputs, stopped_in_time(build))
        check_time("fitting", entry, self.minutes)
        if entry.facts.get("ended_by_time"):
            self.run.report["stages"]["fit"]["ended_by_time"] = True
        if (entry.path / "adapter").is_dir():
            self.run.place(entry.path / "adapter", "adapter")
        if (entry.path / "history.json").is_file():
            self.run.place(entry.path / "history.json", "history.json")
        for point in read_history(entry.path) if entry.cached else []:
            self.tracker.log(point, int(point.pop("step")))
        self.run.record(efficiency=_efficiency("fit", entry))
        self.tracker.update(self.run)
        return entry

    def _sample(self, prompts: Entry, fitted: Entry) -> Entry:
        def build(folder: Path) -> dict[str, Any]:
            self._load(prompts, fitted)
            started = time.monotonic()
            with time_limit(self.minutes):
                sample = self.generator.sample(self.n, seed=self.run.seed, directory=folder)
            drawn = Table(self.splits.schema.conform(sample.frame), self.splits.schema)
            texts = released(drawn, self.splits, self.run.seed)
            write_csv(texts, folder / "synthetic.csv", self.splits)
            if self.splits.layout is not None and self.splits.layout.dtypes is not None:
                frame = self.splits.layout.dtypes.frame(texts)
                write_parquet(frame, folder / "synthetic.parquet", like=self.config["dataset"]["path"])
            seconds = max(time.monotonic() - started, 1e-9)
            self._unload()
            return {
                "validity": sample.validity,
                "rows_per_s": self.n / seconds,
                "csv": _digest(folder / "synthetic.csv"),
            }

        inputs = self.inputs.sample(fitted.key, prompts.facts.get("sample"))
        entry = self.run.stage("sample", inputs, stopped_in_time(build))
        check_time("drawing", entry, self.minutes)
        for name in ("synthetic.csv", "synthetic.parquet"):
            if (entry.path / name).is_file():
                self.run.place(entry.path / name, name)
        self.run.record(validity=entry.facts["validity"], efficiency=_efficiency("sample", entry))
        self.tracker.update(self.run)
        return entry

    def _evaluate(self, before: Entries) -> tuple[dict[str, float], dict[str, str]]:
        """Measure the synthetic rows. Returns the metrics, and why some have no value."""
        synthetic = read_csv(before.sampled.path / "synthetic.csv", self.splits)
        splits = self._splits_to_measure(before)
        report = self.run.report
        report["rows"], report["rules"] = sizes(splits, synthetic), broken_rules(splits, synthetic)
        metrics: dict[str, float] = {}
        unavailable: dict[str, str] = {}
        measured = []
        for name, evaluator in self.evaluators.items():
            if evaluator.needs_target and not splits.schema.has_target:
                unavailable[name] = "the table has no target (dataset.target=null)"
                continue
            found = self._measure(name, evaluator, splits, synthetic, before)
            metrics |= {key: float("nan") if value is None else value for key, value in found["values"].items()}
            unavailable |= found["reasons"]
            self.run.record(metrics=metrics, unavailable=unavailable, notes=found["notes"])
            self.tracker.update(self.run)
            measured.append(report["stages"][f"evaluate_{name}"])
        report["stages"]["evaluate"] = {
            "seconds": round(sum(stage["seconds"] for stage in measured), 3),
            "cached": all(stage["cached"] for stage in measured),
        }
        return metrics, unavailable

    def _splits_to_measure(self, before: Entries) -> Splits:
        """The splits without planted rows, with the positions of the learnt rows, and with the held-out rows to use."""
        rows = len(self.splits.train)
        learnt = self.generator.learnt_rows(
            rows, seed=self.run.seed, prepared=before.prompts.path, directory=before.fitted.path
        )
        splits = replace(self.splits, learnt=None if len(learnt) == rows else learnt)
        return uproot(splits.for_selection() if self.config["evaluate_on"] == "validation" else splits)

    def _measure(
        self, name: str, evaluator: Evaluator, splits: Splits, synthetic: Table, before: Entries
    ) -> dict[str, dict[str, Any]]:
        """The results of one evaluator, from the cache if they are there: {"values", "reasons", "notes"}."""
        prompts, fitted, sampled = before

        def build(folder: Path) -> dict[str, Any]:
            scorer = scorer_of(self.generator, partial(self._load, prompts, fitted), prompts.path)
            refit = refit_of(self._unfitted, self.splits, prompts.seconds + fitted.seconds + sampled.seconds)
            found = measured_by(
                evaluator, splits, synthetic, self.imputation, seed=self.run.seed, scorer=scorer, refit=refit
            )
            write_measures(found, folder)
            self._unload()  # the next evaluator may need the memory for a model of its own
            return {}

        inputs = self.inputs.evaluate(name, fitted.key, prompts.facts.get("sample"), sampled.facts["csv"])
        entry = self.run.stage(f"evaluate_{name}", inputs, build)
        if (entry.path / "series.npz").is_file():
            self.run.place(entry.path / "series.npz", f"series/{name}.npz")
        return dict(json.loads((entry.path / "measures.json").read_text(encoding="utf-8")))

    def _unload(self) -> None:
        if isinstance(self.generator, LanguageGenerator):
            self.generator.unload()
            self._loaded = False

    def _load(self, prompts: Entry, fitted: Entry) -> None:
        """Load the fitted generator, unless it is loaded already."""
        if not self._loaded:
            self.generator.load(self.given, prepared=prompts.path, directory=fitted.path)
            self._loaded = True


def _efficiency(stage: str, entry: Entry) -> dict[str, float]:
    rates = ("tokens_per_s", "rows_per_s")
    return {f"{stage}/{name}": float(entry.facts[name]) for name in rates if name in entry.facts}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
