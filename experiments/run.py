"""The command `harmonic`: one run from its data to its report, or with -m a sweep of runs.

python -m experiments.run dataset=german generator=harmonic seed=1
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

import experiments.choosing.sweeper  # noqa: F401 (registers itself with Hydra, as grid and search do)
from experiments.configuration.building import built
from experiments.configuration.checking import PARTS, check_folder
from experiments.configuration.hydra_errors import WHOLE_TRACE, check_words, plain_errors, raised, resolved
from experiments.sweeps.devices import claim_gpu
from experiments.sweeps.grid import data_read, file_key, ground, key_for, number_of
from experiments.sweeps.lost_jobs import stopped_by_signals
from experiments.sweeps.records import concluded, recorded
from experiments.sweeps.search import objective
from harmonic.errors import ConfigError, HarmonicError
from harmonic.llm.machine import processes, rank
from harmonic.wandb_session import agent_run

if TYPE_CHECKING:
    from experiments.stages.pipeline import Pipeline

logger = logging.getLogger(__name__)


def main() -> None:
    """The command line: one run, or with -m a sweep."""
    if WHOLE_TRACE in os.environ:
        concluded(job)
        return
    try:
        with raised(), plain_errors(words=sys.argv[1:]):
            check_words(sys.argv[1:])
            _check_agent(sys.argv[1:])
            concluded(job)
    except HarmonicError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


def _check_agent(words: list[str]) -> None:
    """Raise ConfigError for a sweep that an agent of W&B starts: its jobs would all be written into the agent's run."""
    if agent_run() and {"-m", "--multirun"} & set(words):
        problem = "an agent of W&B has one run for each command, and a sweep has many"
        fix = "leave out -m, and let W&B hand out the jobs; the file for it: harmonic-report --sweep-yaml"
        raise ConfigError("WANDB_SWEEP_ID", os.environ["WANDB_SWEEP_ID"], problem, fix)


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def job(config: DictConfig) -> float | None:
    """Run one configuration. In a sweep Hydra's launcher calls this for each job; a search gets its metric back."""
    context = HydraConfig.get()
    choices = dict(context.runtime.choices)
    if context.mode is RunMode.MULTIRUN:
        return _sweep_job(config, choices, context)
    try:
        said = any(word.startswith("evaluate_on=") for word in _words(context))  # as in one of its jobs, run by itself
        if config.get("choose") is not None and not said:
            problem = "tries several methods, and one command runs one job"
            raise ConfigError("experiment", "choose", problem, "put -m before it: harmonic -m experiment=choose")
        run_job(config, choices, overrides=_words(context))
    except HarmonicError as error:
        logger.error("error: %s", error)
        sys.exit(1)
    return None


def _sweep_job(config: DictConfig, choices: dict[str, str | None], context: Any) -> float | None:
    """Run one job of a sweep and record how it ended."""
    overrides = _words(context)
    with recorded(Path(context.sweep.dir), number_of(context), overrides) as record, stopped_by_signals():
        if not (config.force or config.dry_run):  # without a key no later sweep leaves the job out
            record["key"] = key_for(overrides, ground(context))
        claim_gpu()
        plain = resolved(config)
        record["data"] = data_read(plain["dataset"])
        pipeline = open_run(plain, choices, overrides)
        record["run"] = str(pipeline.run.folder)
        record["skipped"] = not carry_out(pipeline, show_finished=False)
        return objective(pipeline.run.folder, context.sweeper.get("metric"))
    return None  # the job failed, and its record says why


def _words(context: Any) -> list[str]:
    """The command's overrides as typed: a text that looks like an interpolation stays as it is."""
    return list(OmegaConf.to_container(context.overrides.task, resolve=False))  # type: ignore[arg-type]


def run_job(config: DictConfig, choices: dict[str, str | None], overrides: list[str] | None = None) -> Path:
    """Run one configuration up to `config.stage` and print the results. Returns the run's folder.

    `choices`: the file chosen in each group of conf. `overrides`: the words of the command line; the printed next step
    is made from them.
    """
    pipeline = open_run(resolved(config), choices, overrides)
    carry_out(pipeline)
    return pipeline.run.folder


def open_run(plain: dict[str, Any], choices: dict[str, str | None], overrides: list[str] | None = None) -> Pipeline:
    """Build the parts of a resolved configuration, load and split the data, and open the run's folder."""
    if processes() > 1 and plain["stage"] not in ("prompts", "fit"):
        fix = "add stage=fit under `accelerate launch`; then run the command alone, and it goes on from the adapter"
        raise ConfigError("stage", plain["stage"], f"the {processes()} processes started here can only tune", fix)
    from experiments.stages.keys import configured_versions
    from experiments.stages.pipeline import Pipeline
    from harmonic.runs.run import Run

    started = time.monotonic()
    parts = {part: built(plain[part]) for part in PARTS}
    plain["dataset"]["name"] = parts["dataset"].label
    check_folder("dataset.name", plain["dataset"]["name"])
    splits = parts["dataset"].load(plain["seed"])
    run = Run.open(
        plain, plain["output_dir"], plain["experiment_name"], plain["dataset"]["name"], str(choices["generator"]),
        plain["seed"], data=splits.fingerprint(), force=plain["force"], versions=configured_versions(plain),
    )  # fmt: skip
    return Pipeline(
        run, splits, plain, parts["generator"], parts["evaluator"], parts["tracker"], time.monotonic() - started,
        overrides, file_key(plain["dataset"]["path"]),
    )  # fmt: skip


def carry_out(pipeline: Pipeline, *, show_finished: bool = True) -> bool:
    """Take the run up to its last stage, or print the plan of a dry run. False: it was finished before.

    `show_finished`: print the results of a run that was finished before.
    """
    if rank() > 0:
        logger.info("process %d tunes along", rank())
        pipeline.follow()
        return True
    try:
        with run_log(pipeline.run.folder):
            if pipeline.config["dry_run"]:
                pipeline.plan()
                return True
            if pipeline.run.is_done and not pipeline.run.force:
                logger.info("nothing to compute: this run is finished (force=true computes it again)")
                pipeline.send_again()
                if show_finished:
                    pipeline.show()
                return False
            if changed := pipeline.run.outdated:
                logger.info("finished before by older code (%s): the changed stages run again", "; ".join(changed))
            pipeline.execute(pipeline.config["stage"])
            return True
    finally:
        print(f"run: {pipeline.run.folder}", flush=True)


class _RunLog(logging.FileHandler):
    """A file that may stop taking lines, on a full disk; `logging` would print a traceback for each line."""

    _told = False

    def handleError(self, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            super().handleError(record)
        else:
            self._tell(error)

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:  # of lines that are not written yet
            self._tell(error)

    def _tell(self, error: OSError) -> None:
        """Once."""
        if not self._told:
            self._told = True
            print(f"{self.baseFilename} is not complete: {error}", file=sys.stderr)


@contextmanager
def run_log(folder: Path) -> Iterator[None]:
    """Within this block, log lines also go to run.log in the folder."""
    handler = _RunLog(folder / "run.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


if __name__ == "__main__":
    main()
