"""Alpha-precision, beta-recall and authenticity against synthcity, the definitions and anchors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harmonic.evaluation.fidelity.authenticity import SampleQuality, alpha_precision, authenticity, beta_recall
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table


@pytest.mark.slow  # importing synthcity takes seconds
@pytest.mark.filterwarnings("ignore")  # synthcity's own imports warn
def test_precision_and_recall_equal_synthcitys_naive_variant(toy, tmp_path):
    pytest.importorskip("synthcity")
    from synthcity.metrics.eval_statistical import AlphaPrecision
    from synthcity.plugins.core.dataloader import GenericDataLoader

    size = len(toy.val)
    splits = Splits(toy.train.take(range(size)), toy.val, toy.test)
    loaders = []
    for table in (splits.train, splits.val):
        coded = {name: pd.Categorical(table.frame[name]).codes for name in toy.schema.categorical}
        loaders.append(GenericDataLoader(table.frame.assign(**coded), target_column="label"))
    reference = AlphaPrecision(workspace=tmp_path, use_cache=False)
    scaled = (frame.to_numpy() for frame in reference._normalize_covariates(*loaders))
    precision, recall = reference.metrics(*scaled)[3:5]
    assert 0.1 < recall < 0.9 < precision < 0.999
    measures = SampleQuality().evaluate(splits, splits.val, seed=0)
    assert measures["alpha_precision"] == pytest.approx(precision, rel=1e-9)
    assert measures["beta_recall"] == pytest.approx(recall, rel=1e-9)


def pairwise(one, other):
    return np.linalg.norm(one[:, None] - other, axis=2)


def test_authenticity_is_its_definition():
    rng = np.random.default_rng(0)
    real, synthetic = rng.normal(size=(60, 3)), rng.normal(size=(50, 3))
    between, within = pairwise(synthetic, real), pairwise(real, real) + np.diag([np.inf] * 60)
    expected = [row.min() > within[row.argmin()].min() for row in between]
    assert authenticity(real, synthetic) == pytest.approx(np.mean(expected))


def test_a_shell_and_a_point_are_precise_at_no_level():
    """All rows at the center lie in every ball, all rows far out in none: either way the curve is no diagonal."""
    real = np.random.default_rng(0).normal(size=(400, 2))
    assert alpha_precision(real, np.tile(real.mean(axis=0), (100, 1))) == pytest.approx(0, abs=1e-9)
    assert alpha_precision(real, real + 100) == pytest.approx(0, abs=1e-9)
    assert alpha_precision(real, real) > 0.99


def test_rows_of_one_kind_cover_no_other():
    rng = np.random.default_rng(0)
    real = np.vstack([rng.normal(0, 1, (200, 2)), rng.normal(50, 1, (200, 2))])
    assert beta_recall(real, real) > 0.99
    half = beta_recall(real, np.vstack([real[:200], real[:200] + 1e-9]))
    assert 0.3 < half < 0.8  # half of the real rows are covered


def test_copies_are_perfect_and_not_authentic(toy, breast_cancer, assert_sound):
    for splits in (toy, breast_cancer):
        measures = SampleQuality().evaluate(splits, splits.train, seed=0)
        assert_sound(SampleQuality(), measures)
        assert measures["alpha_precision"] > 0.99 and measures["beta_recall"] > 0.99
        assert measures["authenticity"] == 0


def test_fresh_real_rows_are_half_authentic_and_noise_is_not_believable(breast_cancer):
    rng = np.random.default_rng(0)
    train = breast_cancer.train
    noise = {name: rng.uniform(train.frame[name].min(), train.frame[name].max(), 113) for name in train.schema.numeric}
    noise["target"] = rng.choice(list(train.schema["target"].categories), 113)
    fresh, bad = (
        SampleQuality().evaluate(breast_cancer, table, seed=0)
        for table in (breast_cancer.val, Table(train.schema.conform(pd.DataFrame(noise)), train.schema))
    )
    assert 0.35 < fresh["authenticity"] < 0.65 < bad["authenticity"]
    assert bad["alpha_precision"] < 0.5 < 0.85 < fresh["alpha_precision"]
    assert bad["beta_recall"] < 0.1 < 0.35 < fresh["beta_recall"]


def test_rows_are_capped_and_the_draw_is_seeded(toy):
    first, again, other = (dict(SampleQuality(max_rows=40).evaluate(toy, toy.val, seed=seed)) for seed in (0, 0, 1))
    assert first == again != other


def test_bad_tables_give_values_or_reasons(toy, spoiled, assert_sound):
    measures = SampleQuality().evaluate(toy, spoiled(toy.train), seed=0)
    assert_sound(SampleQuality(), measures)
    assert len(measures) == len(SampleQuality.metrics)
