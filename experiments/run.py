"""One run: data, prompts, fit, sample, evaluate, record; with -m many.

python -m experiments.run dataset=german generator=harmonic seed=1
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from experiments.checking import PARTS, built, check_folder
from experiments.hydra_errors import check_words, plain_errors, resolved
from experiments.sweeps.devices import claim_gpu
from experiments.sweeps.grid import data_read, file_key, ground, key_for, number_of
from experiments.sweeps.records import concluded, recorded
from experiments.sweeps.search import objective
from harmonic.errors import ConfigError, HarmonicError
from harmonic.llm.machine import processes, rank

logger = logging.getLogger(__name__)

WHOLE_TRACE = "HYDRA_FULL_ERROR"
"""The environment variable with which Hydra raises what it would print; who sets it wants to see it as it is."""


def main() -> None:
    """The command line: one job, or with -m a sweep."""
    if WHOLE_TRACE in os.environ:
        concluded(job)
        return
    os.environ[WHOLE_TRACE] = "1"
    try:
        with plain_errors(words=sys.argv[1:]):
            check_words(sys.argv[1:])
            concluded(job)
    except HarmonicError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    finally:
        os.environ.pop(WHOLE_TRACE, None)


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def job(config: DictConfig) -> float | None:
    """Run one configuration; in a sweep Hydra's launcher calls this once for each job. What is searched for, if so."""
    context = HydraConfig.get()
    choices = dict(context.runtime.choices)
    if context.mode is RunMode.MULTIRUN:
        overrides = _words(context)
        with recorded(Path(context.sweep.dir), number_of(context), overrides) as record:
            if not (config.force or config.dry_run):  # such a job is never left out
                record["key"] = key_for(overrides, ground(context))
            claim_gpu()
            return objective(run_job(config, choices, record, overrides), context.sweeper.get("metric"))
        return None
    try:
        run_job(config, choices, overrides=_words(context))
    except HarmonicError as error:
        logger.error("error: %s", error)
        sys.exit(1)
    return None


def _words(context: Any) -> list[str]:
    """The command's overrides as they were typed: one that looks like an interpolation is not to be resolved."""
    return list(OmegaConf.to_container(context.overrides.task, resolve=False))  # type: ignore[arg-type]


def run_job(
    config: DictConfig, choices: dict[str, str | None], record: dict[str, Any] | None = None,
    overrides: list[str] | None = None,
) -> Path:  # fmt: skip
    """Load the data, open the run, and take it up to `config.stage`; prints the results. The run's folder.

    `record`, in a sweep, is told the folder as "run", the "data" read, and "skipped" where there was nothing to do.
    `overrides` are those of the command line, from which the summary makes the command of the next step.
    """
    plain = resolved(config)
    if processes() > 1 and config.stage not in ("prompts", "fit"):
        fix = "add stage=fit under `accelerate launch`; then run the command alone, and it goes on from the adapter"
        raise ConfigError("stage", config.stage, f"the {processes()} processes started here only tune", fix)
    from experiments.keys import configured_versions
    from experiments.pipeline import Pipeline
    from harmonic.runs.run import Run

    started = time.monotonic()
    if record is not None:
        record["data"] = data_read(plain["dataset"])
    parts = {part: built(plain[part]) for part in PARTS}
    plain["dataset"]["name"] = parts["dataset"].label
    check_folder("dataset.name", plain["dataset"]["name"])
    splits = parts["dataset"].load(config.seed)
    run = Run.open(
        plain, plain["output_dir"], plain["experiment_name"], plain["dataset"]["name"], str(choices["generator"]),
        config.seed, data=splits.fingerprint(), force=config.force,
        versions=configured_versions(plain),
    )  # fmt: skip
    pipeline = Pipeline(
        run, splits, plain, parts["generator"], parts["evaluator"], parts["tracker"], time.monotonic() - started,
        overrides, file_key(plain["dataset"]["path"]),
    )  # fmt: skip
    if record is not None:
        record["run"] = str(run.folder)
    if rank() > 0:
        logger.info("process %d tunes along", rank())
        pipeline.follow()
        return run.folder
    try:
        with run_log(run.folder):
            if config.dry_run:
                pipeline.plan()
            elif run.is_done and not run.force:
                logger.info("done already: nothing to compute (force=true computes anew)")
                if record is None:
                    pipeline.show()
                else:
                    record["skipped"] = True
            else:
                if changed := run.outdated:
                    logger.info("done before by older code (%s): what it changed is computed anew", "; ".join(changed))
                pipeline.execute(config.stage)
    finally:
        print(f"run: {run.folder}", flush=True)
    return run.folder


@contextmanager
def run_log(folder: Path) -> Iterator[None]:
    """Within it, log lines also go to run.log in the folder."""
    handler = logging.FileHandler(folder / "run.log", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def configured(*overrides: str) -> dict[str, Any]:
    """Build the parts of a configuration, for another program: `["dataset"]`, `["llm"]` and so on."""
    with hydra.initialize_config_module("conf", version_base="1.3"):
        config = hydra.compose("config", list(overrides))
    plain = resolved(config)
    return plain | {part: built(plain[part]) for part in PARTS}


def reopened(folder: Path) -> dict[str, Any]:
    """Build the parts of the run in `folder` from its report's configuration."""
    config = json.loads((folder / "report.json").read_text(encoding="utf-8"))["config"]
    return {"seed": config["seed"]} | {name: built(config[name]) for name in ("dataset", "generator", "evaluator")}


if __name__ == "__main__":
    main()
