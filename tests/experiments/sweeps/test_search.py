"""Search: Hydra's ranges become Optuna's, trials are told, an interrupted study goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from experiments.configuration.building import configured
from experiments.sweeps.search import Search, distribution, objective
from harmonic.errors import ConfigError


def parsed(text: str) -> Any:
    return distribution("key", OverridesParser.create().parse_override(f"key={text}"))


def test_hydras_ranges_become_optunas_distributions() -> None:
    assert parsed("range(2, 8)") == optuna.distributions.IntDistribution(2, 7)
    assert parsed("interval(0.5, 1.5)") == optuna.distributions.FloatDistribution(0.5, 1.5)
    assert parsed("tag(log, interval(0.0001, 0.01))") == optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True)
    assert parsed("choice(a, b)") == optuna.distributions.CategoricalDistribution(["a", "b"])


def search(folder: Path, **given: Any) -> Search:
    settings = {"metric": "m", "direction": "maximize", "n_trials": 2, "n_jobs": 1, "sampler": "random", "seed": 0}
    return Search(**{**settings, "study_name": "s", "storage": str(folder / "deep" / "s.db"), **given})


def test_a_trial_that_a_kill_left_open_is_asked_for_again(tmp_path: Path) -> None:
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    lost = search(tmp_path)._study().ask(space)
    again = search(tmp_path)._study().ask(space)
    assert again.number == 1 and again.params == lost.params


def test_a_resumed_study_draws_other_values(tmp_path: Path) -> None:
    space = {"x": optuna.distributions.FloatDistribution(0, 1)}
    drawn = []
    for _ in range(2):
        study = search(tmp_path)._study()
        trial = study.ask(space)
        drawn.append(trial.params["x"])
        study.tell(trial, 1.0)
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("wrong", [{"direction": "up"}, {"sampler": "grid"}])
def test_settings_that_cannot_be_are_errors(wrong: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"hydra.sweeper.{next(iter(wrong))}"):
        search(tmp_path, **wrong)._study()


def test_the_objective_is_a_metric_of_the_report(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text('{"metrics": {"mle/accuracy": 0.75, "mle/r2": null}}')
    assert objective(tmp_path, "mle/accuracy") == 0.75
    assert objective(tmp_path, "mle/r2") is None and objective(tmp_path, None) is None
    with pytest.raises(ConfigError, match="mle/accuracy"):
        objective(tmp_path, "mle/acuracy")


def test_a_search_takes_its_trials_and_goes_on_where_it_was(command: Callable[..., Any], tmp_path: Path) -> None:
    words = [
        "-m", "experiment=search", "generator=smote", "~hydra.sweeper.params", "generator.k=range(1,6)",
        "evaluator=fidelity", "hydra.sweeper.metric=column_shapes", "tracker=off", "scale=smoke", "data_dir=null",
        f"output_dir={tmp_path}",
    ]  # fmt: skip
    for trials, jobs in ((2, 2), (3, 1)):
        folder = tmp_path / "sweeps" / str(trials)
        done = command(*words, f"hydra.sweeper.n_trials={trials}", f"hydra.sweep.dir={folder}")
        assert done.code == 0, done.err[-2000:]
        assert f"best of {trials}: column_shapes=" in done.out
        assert len(list(folder.glob("jobs/*.json"))) == jobs


def test_selection_leaves_the_test_rows_alone() -> None:
    splits = configured("dataset=diabetes", "generator=real", "data_dir=null")["dataset"].load(0)
    chosen = splits.for_selection()
    parts = (chosen.reference, chosen.test, chosen.holdout, splits.test)
    rows = [set(map(tuple, part.frame.itertuples(index=False))) for part in parts]
    assert [len(part) for part in parts] == [20, 41, 62, 154]
    assert all(not (one & other) for place, one in enumerate(rows) for other in rows[place + 1 :])
    assert rows[0] | rows[1] == set(map(tuple, splits.reference.frame.itertuples(index=False)))
    assert rows[2] == set(map(tuple, splits.holdout.frame.itertuples(index=False)))
    assert chosen.train is splits.train


def test_selection_on_the_fewest_validation_rows_still_has_one_to_test_on() -> None:
    splits = configured("dataset=diabetes", "generator=real", "data_dir=null")["dataset"].load(0)
    chosen = replace(splits, val=splits.val.take([0, 1])).for_selection()
    assert [len(part) for part in (chosen.reference, chosen.test, chosen.holdout)] == [0, 1, 1]
