"""How evaluators get what they ask for: a generator that can be fitted anew, and no one else's tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from experiments.configuration.building import configured
from experiments.stages.measuring import measured_by, refit_of
from harmonic.evaluation.base import Evaluator, Measures, Metric, Refit, RefittingEvaluator, Scorer
from harmonic.evaluation.privacy.membership import MembershipInference
from harmonic.evaluation.privacy.shadow_models import ShadowModels
from harmonic.tables.missing_values import Imputation
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table


class Asking(RefittingEvaluator):
    """Fits the generator to a part of the training rows, and keeps what it saw."""

    metrics = (Metric("asked", None, meaning="rows drawn"),)

    def evaluate(
        self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None, refit: Refit | None = None
    ) -> Measures:
        measures = Measures()
        assert refit is not None
        self.half, self.seconds = splits.train.take(range(len(splits.train) // 2)), refit.seconds
        self.drawn = refit.draw(self.half, 30, seed)
        measures["asked"] = float(len(self.drawn))
        return measures


class Plain(Evaluator):
    """Knows nothing of generators."""

    metrics = (Metric("plain", None, meaning="1"),)

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        measures = Measures()
        measures["plain"] = 1.0
        return measures


def test_the_generator_is_fitted_to_the_rows_given_and_the_runs_own_stays_as_it_is(tmp_path: Path) -> None:
    parts = configured("dataset=diabetes", "generator=copy", "data_dir=null")
    splits, generator = parts["dataset"].load(0), parts["generator"]
    generator.load(splits, prepared=tmp_path, directory=tmp_path)
    before = generator.sample(10, seed=0, directory=tmp_path).frame
    asking, imputation = Asking(), Imputation.of(splits.train)
    refit = refit_of(generator, splits, 1.5)
    assert measured_by(asking, splits, splits.val, imputation, seed=3, scorer=None, refit=refit) == {"asked": 30.0}
    assert asking.seconds == 1.5
    rows = set(map(tuple, asking.half.frame.itertuples(index=False)))
    assert set(map(tuple, asking.drawn.frame.itertuples(index=False))) <= rows
    pd.testing.assert_frame_equal(generator.sample(10, seed=0, directory=tmp_path).frame, before)
    assert measured_by(Plain(), splits, splits.val, imputation, seed=3, scorer=None, refit=refit) == {"plain": 1.0}


def test_rows_with_gaps_reach_the_generator_with_gaps_and_the_evaluator_without(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"x": draw.normal(size=200).round(3), "c": draw.choice(["a", "b"], 200), "y": draw.choice(["n", "p"], 200)}
    )
    frame.loc[::7, "x"] = np.nan
    frame.to_csv(tmp_path / "gaps.csv", index=False)
    given = (
        "dataset=csv",
        f"dataset.path={tmp_path / 'gaps.csv'}",
        "dataset.target=y",
        "generator=copy",
        "data_dir=null",
    )
    parts = configured(*given)
    splits = parts["dataset"].load(0)
    imputation = Imputation.of(splits.train)
    assert imputation.needed and splits.train.frame["x"].isna().any()
    asking = Asking()
    refit = refit_of(parts["generator"], splits, 0.0)
    measured_by(asking, splits, splits.val, imputation, seed=0, scorer=None, refit=refit)
    assert asking.half.schema == asking.drawn.schema == imputation.imputed
    assert not asking.drawn.frame.isna().to_numpy().any()
    assert (asking.drawn.frame[imputation.flags["x"]] == "missing").any()


def test_shadow_models_of_smote_see_more_than_each_attack_that_they_are_made_of() -> None:
    parts = configured("dataset=diabetes", "generator=smote", "data_dir=null")
    areas: dict[str, list[float]] = {"shadow": [], "dcr": [], "mc": [], "domias": [], "gen_lra": []}
    for seed in range(3):
        splits = parts["dataset"].load(seed)
        refit = refit_of(parts["generator"], splits, 0.0)
        release = refit.draw(splits.train, len(splits.train), seed)
        found = ShadowModels(resamples=2).evaluate(splits, release, seed=seed, refit=refit)
        found |= MembershipInference(["dcr", "mc", "domias", "gen_lra"], resamples=2).evaluate(
            splits, release, seed=seed
        )
        for name, values in areas.items():
            values.append(found["shadow/auc" if name == "shadow" else f"mia/{name}/auc"])
    means = {name: np.mean(values) for name, values in areas.items()}
    assert max(means, key=means.__getitem__) == "shadow", means
    assert means["shadow"] > 0.8


def test_a_run_with_shadow_models_reports_them(tmp_path: Path, command: Callable[..., Any]) -> None:
    words = ("generator=smote", "evaluator=shadow", "scale=smoke", "n_samples=null", "tracker=off", "data_dir=null")
    done = command(*words, f"output_dir={tmp_path}", "evaluator.shadow_models.models=4")
    assert done.code == 0, done.err
    (found,) = tmp_path.glob("runs/diabetes/smote/*/report.json")
    report = json.loads(found.read_text())
    assert report["metrics"]["shadow/auc/low"] > 0.6 and report["metrics"]["shadow/members"] == 154
    assert not report["unavailable"] or set(report["unavailable"]) == {
        f"shadow/tpr_at_0.1{end}" for end in ("", "/low", "/high")
    }
    card = (found.parent / "privacy_card.md").read_text()
    assert "fits the same generator 4 times" in card and "(shadow models)" not in card
