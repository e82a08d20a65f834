"""Search over hyper-parameters: Optuna (arXiv 1907.10902) chooses Hydra's jobs with ask and tell.

hydra-optuna-sweeper needs optuna<3, which conflicts with synthcity. This sweeper does the same: the ranges are Hydra's
sweep overrides, the configured launcher runs the jobs, and the study is a file, so that an interrupted search can
continue.
"""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from experiments.sweeps.lost_jobs import launch_each
from harmonic.errors import ConfigError, unknown
from harmonic.randomness import derive
from harmonic.shell import quoted

logger = logging.getLogger(__name__)


@dataclass
class Search(Sweeper):
    """Launches `n_trials` jobs, `n_jobs` at a time, for the best `metric`; see conf/hydra/sweeper/search.yaml."""

    metric: str
    direction: str
    n_trials: int
    n_jobs: int
    sampler: str
    seed: int
    study_name: str
    storage: str
    params: dict[str, str] | None = None
    _context: Any = field(default=None, init=False)
    _launcher: Any = field(default=None, init=False)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Store what launching needs."""
        self._context = hydra_context
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Ask, launch and tell until the study has its trials, and print the best one. Raises ConfigError."""
        try:
            import optuna
        except ImportError as error:
            fix = "pip install 'harmonic[search]'"
            raise ConfigError("hydra/sweeper", "search", f"needs Optuna ({error})", fix) from error
        fixed, space = self._space(arguments)
        study = self._study()
        for _ in range(self.n_trials):  # also ends if all trials fail
            left = self.n_trials - len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE]))
            if left <= 0:
                break
            trials = [study.ask(space) for _ in range(min(self.n_jobs, left))]
            jobs = [[*fixed, *(f"{key}={_text(value)}" for key, value in trial.params.items())] for trial in trials]
            for trial, job in zip(trials, launch_each(self._launcher, jobs, trials[0].number), strict=True):
                value = _value(job)
                state = optuna.trial.TrialState.FAIL if value is None else None
                study.tell(trial, value, state)
        done = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
        if done:
            chosen = " ".join(f"{key}={_text(value)}" for key, value in study.best_params.items())
            print(f"best of {len(done)}: {self.metric}={study.best_value:.4f} with {chosen}")

    def _space(self, arguments: list[str]) -> tuple[list[str], dict[str, Any]]:
        """The fixed overrides, and the distribution of each searched setting."""
        parser = OverridesParser.create(config_loader=self._context.config_loader)
        words = [*(f"{key}={value}" for key, value in (self.params or {}).items()), *arguments]
        found = {override.get_key_element(): override for override in parser.parse_overrides(words)}
        space = {key: distribution(key, one) for key, one in found.items() if one.is_sweep_override()}
        if not space:
            fix = f"name what to search over: {quoted('generator.neighbors.k=range(2, 8)')}"
            raise ConfigError("hydra.sweeper.params", self.params, "has nothing to search over", fix)
        fixed = [f"{key}={one.get_value_element_as_str()}" for key, one in found.items() if key not in space]
        return fixed, space

    def _study(self) -> Any:
        """The study, new or continued. Unfinished trials of an interrupted search are tried again."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        if self.direction not in (known := ("maximize", "minimize")):
            raise unknown("hydra.sweeper.direction", self.direction, "direction", known)
        samplers = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}
        if self.sampler not in samplers:
            raise unknown("hydra.sweeper.sampler", self.sampler, "sampler", samplers)
        Path(self.storage).parent.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            storage=f"sqlite:///{self.storage}", study_name=self.study_name, direction=self.direction,  # type: ignore[arg-type]
            load_if_exists=True,
        )  # fmt: skip
        for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
            study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial(trial.params)
        # Each start draws with another seed; otherwise a continued search would try the first values again.
        study.sampler = samplers[self.sampler](seed=derive(self.seed, "search", len(study.trials)))
        return study


def distribution(key: str, override: Override) -> Any:
    """Optuna's distribution for a Hydra sweep: choice, range or interval, with the tag "log" for a log scale."""
    from optuna import distributions

    sweep: Any = override.value()
    log = "log" in getattr(sweep, "tags", ())
    if isinstance(sweep, ChoiceSweep):
        return distributions.CategoricalDistribution(list(override.sweep_iterator()))  # type: ignore[arg-type]
    if isinstance(sweep, RangeSweep):
        # Like Python's, Hydra's range does not include its end.
        start, step = sweep.start, sweep.step
        if all(isinstance(number, int) for number in (start, sweep.stop, step)):
            return distributions.IntDistribution(int(start or 0), int(sweep.stop or 0) - 1, log=log, step=int(step))
        return distributions.FloatDistribution(float(start or 0), float(sweep.stop or 0), step=float(step))
    if isinstance(sweep, IntervalSweep):
        return distributions.FloatDistribution(float(sweep.start or 0), float(sweep.end or 0), log=log)
    raise ConfigError(key, override.value(), "cannot be searched over", "choice(…), range(…) or interval(…)")


def objective(folder: Path, metric: str | None) -> float | None:
    """The metric of the run in `folder`; None if nothing is searched, or if it could not be computed."""
    if metric is None:
        return None
    metrics = json.loads((folder / "report.json").read_text(encoding="utf-8"))["metrics"]
    if metric not in metrics:
        raise unknown("hydra.sweeper.metric", metric, "metric", metrics)
    return metrics[metric]


def _value(job: JobReturn) -> float | None:
    if job.status is not JobStatus.COMPLETED or job.return_value is None:
        return None
    return float(job.return_value)


def _text(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)


# Hydra accepts only sweepers in its plugin package, so this module also gets a name there.
Search.__module__ = "hydra_plugins.harmonic"
sys.modules[Search.__module__] = sys.modules[__name__]
Plugins.instance().register(Search)
