"""Search over hyper-parameters: Hydra's jobs, chosen by Optuna's ask and tell (arXiv 1907.10902).

hydra-optuna-sweeper wants optuna<3, which cannot live beside synthcity. This is the same idea and no more: the
ranges are Hydra's sweep overrides, the jobs go to whatever launcher is configured, and the study is a file that an
interrupted search goes on from.
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
        """Keep what launching needs."""
        self._context = hydra_context
        self._launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        """Ask, launch and tell until the study has its trials; says which was best. Raises ConfigError."""
        try:
            import optuna
        except ImportError as error:
            fix = "pip install 'harmonic[search]'"
            raise ConfigError("hydra/sweeper", "search", f"needs Optuna ({error})", fix) from error
        fixed, space = self._space(arguments)
        study = self._study()
        for _ in range(self.n_trials):  # a study whose trials all fail ends, too
            left = self.n_trials - len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE]))
            if left <= 0:
                break
            trials = [study.ask(space) for _ in range(min(self.n_jobs, left))]
            jobs = [[*fixed, *(f"{key}={_text(value)}" for key, value in trial.params.items())] for trial in trials]
            for trial, job in zip(trials, self._launcher.launch(jobs, trials[0].number), strict=True):
                value = _value(job)
                state = optuna.trial.TrialState.FAIL if value is None else None
                study.tell(trial, value, state)
        done = study.get_trials(states=[optuna.trial.TrialState.COMPLETE])
        if done:
            chosen = " ".join(f"{key}={_text(value)}" for key, value in study.best_params.items())
            print(f"best of {len(done)}: {self.metric}={study.best_value:.4f} with {chosen}")

    def _space(self, arguments: list[str]) -> tuple[list[str], dict[str, Any]]:
        """The overrides that stay, and the distribution of each that is searched."""
        parser = OverridesParser.create(config_loader=self._context.config_loader)
        words = [*(f"{key}={value}" for key, value in (self.params or {}).items()), *arguments]
        found = {override.get_key_element(): override for override in parser.parse_overrides(words)}
        space = {key: distribution(key, one) for key, one in found.items() if one.is_sweep_override()}
        if not space:
            fix = f"name what to search over: {quoted('generator.neighbors.k=range(2, 8)')}"
            raise ConfigError("hydra.sweeper.params", self.params, "there is nothing to search over", fix)
        fixed = [f"{key}={one.get_value_element_as_str()}" for key, one in found.items() if key not in space]
        return fixed, space

    def _study(self) -> Any:
        """The study, made or taken up; a trial that a kill left open is asked for again."""
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
        # Another stream of draws for every start, or a resumed search would try the first values again.
        study.sampler = samplers[self.sampler](seed=derive(self.seed, "search", len(study.trials)))
        return study


def distribution(key: str, override: Override) -> Any:
    """Optuna's distribution for a Hydra sweep: choice, range or interval, tagged "log" where that is meant."""
    from optuna import distributions

    sweep: Any = override.value()
    log = "log" in getattr(sweep, "tags", ())
    if isinstance(sweep, ChoiceSweep):
        return distributions.CategoricalDistribution(list(override.sweep_iterator()))  # type: ignore[arg-type]
    if isinstance(sweep, RangeSweep):
        # Hydra's range leaves its end out, as Python's does.
        start, step = sweep.start, sweep.step
        if all(isinstance(number, int) for number in (start, sweep.stop, step)):
            return distributions.IntDistribution(int(start or 0), int(sweep.stop or 0) - 1, log=log, step=int(step))
        return distributions.FloatDistribution(float(start or 0), float(sweep.stop or 0), step=float(step))
    if isinstance(sweep, IntervalSweep):
        return distributions.FloatDistribution(float(sweep.start or 0), float(sweep.end or 0), log=log)
    raise ConfigError(key, override.value(), "cannot be searched over", "choice(…), range(…) or interval(…)")


def objective(folder: Path, metric: str | None) -> float | None:
    """The metric of the run in `folder`; None where nothing is searched for, or it could not be computed."""
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


# Hydra takes sweepers of its plugin package alone, so this module goes by that name, too.
Search.__module__ = "hydra_plugins.harmonic"
sys.modules[Search.__module__] = sys.modules[__name__]
Plugins.instance().register(Search)
