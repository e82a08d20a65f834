"""One run: data, prompts, fit, sample, evaluate, record. The only file that knows Hydra's objects.

python -m experiments.run dataset=german generator=harmonic seed=1
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from harmonic.errors import ConfigError, HarmonicError, suggest

logger = logging.getLogger(__name__)

STAGES = ("prompts", "fit", "sample", "evaluate")


@hydra.main(version_base="1.3", config_path="../conf", config_name="config")
def main(config: DictConfig) -> None:
    """Run one configuration; with -m Hydra calls this once for each job."""
    try:
        run_job(config, dict(HydraConfig.get().runtime.choices))
    except HarmonicError as error:
        logger.error("error: %s", error)
        sys.exit(1)


def run_job(config: DictConfig, choices: dict[str, str | None]) -> None:
    """Load the data, open the run, and take it up to `config.stage`; prints the results."""
    plain: Any = OmegaConf.to_container(config, resolve=True)
    if config.stage not in STAGES:
        raise ConfigError("stage", config.stage, "is no stage", suggest(config.stage, STAGES))
    from experiments.pipeline import Pipeline
    from harmonic.runs import Run

    parts = hydra.utils.instantiate(config, _convert_="all")
    splits = parts["dataset"].load(config.seed)
    run = Run.open(
        plain, plain["output_dir"], plain["experiment_name"], plain["dataset"]["name"], str(choices["generator"]),
        config.seed, data=splits.fingerprint(), force=config.force,
    )  # fmt: skip
    pipeline = Pipeline(run, splits, plain, parts["generator"], parts["evaluator"], parts["tracker"])
    if config.dry_run:
        pipeline.plan()
    elif run.is_done and not run.force:
        logger.info("done already: nothing to compute (force=true computes anew)")
        pipeline.show()
    else:
        pipeline.execute(config.stage)
    print(f"run: {run.folder}")


if __name__ == "__main__":
    main()
