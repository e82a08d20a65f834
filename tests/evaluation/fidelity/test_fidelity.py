"""Distances and similarities against synthcity, SDMetrics, hand-computed values and anchors."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from harmonic.evaluation.fidelity.columns_and_pairs import (
    Fidelity,
    column_shapes,
    contingency_similarity,
    correlation_similarity,
    data_mismatch,
    joint_wasserstein,
    marginal_wasserstein,
)
from harmonic.tables.table import Table, Task


def sdmetrics_metadata(schema):
    return {"columns": {c.name: {"sdtype": "numerical" if c.is_numeric else "categorical"} for c in schema.columns}}


def test_a_copy_is_perfect(breast_cancer, toy, assert_sound):
    for splits in (breast_cancer, toy):
        measures = Fidelity().evaluate(splits, splits.train, seed=0)
        assert_sound(Fidelity(), measures)
        for name in ("data_mismatch", "wasserstein", "wasserstein_marginal"):
            assert measures[name] == pytest.approx(0, abs=1e-9), name
        for name in ("column_shapes", "column_shapes/numeric", "column_shapes/categorical", "correlation_similarity"):
            assert measures[name] == pytest.approx(1), name


def test_fresh_real_rows_score_between_a_copy_and_noise(breast_cancer):
    rng = np.random.default_rng(0)
    train = breast_cancer.train
    noise = {name: rng.uniform(train.frame[name].min(), train.frame[name].max(), 113) for name in train.schema.numeric}
    noise["target"] = rng.choice(list(train.schema["target"].categories), 113)
    noisy = Table(train.schema.conform(pd.DataFrame(noise)), train.schema)
    fresh, bad = (Fidelity().evaluate(breast_cancer, table, seed=0) for table in (breast_cancer.val, noisy))
    assert 0 < fresh["wasserstein"] < 0.5 * bad["wasserstein"]
    assert 0 < fresh["wasserstein_marginal"] < 0.5 * bad["wasserstein_marginal"]
    for name in ("column_shapes", "correlation_similarity"):
        assert bad[name] + 0.1 < fresh[name] < 1


@pytest.mark.slow  # importing synthcity takes seconds
@pytest.mark.filterwarnings("ignore")  # synthcity's own imports warn
def test_data_mismatch_and_wasserstein_equal_synthcity(toy, tmp_path):
    pytest.importorskip("synthcity")
    from synthcity.metrics.eval_sanity import DataMismatchScore
    from synthcity.metrics.eval_statistical import WassersteinDistance
    from synthcity.plugins.core.dataloader import GenericDataLoader

    real, synthetic = toy.train.frame[:80], toy.test.frame[:80]
    retyped = synthetic.astype({"age": float, "income": str})
    score = DataMismatchScore(workspace=tmp_path, use_cache=False)
    expected = score.evaluate(GenericDataLoader(real), GenericDataLoader(retyped))["score"]
    assert expected == 2 / 5
    assert data_mismatch(real, retyped) == expected

    coded = [
        frame.assign(**{name: pd.Categorical(frame[name]).codes for name in toy.schema.categorical})
        for frame in (real, synthetic)
    ]
    distance = WassersteinDistance(workspace=tmp_path, use_cache=False)
    expected = distance.evaluate(*(GenericDataLoader(frame) for frame in coded))["joint"]
    assert expected > 0.001
    assert joint_wasserstein(real, synthetic, toy.schema) == pytest.approx(expected, rel=1e-9)


def test_data_mismatch_counts_missing_columns(toy):
    assert data_mismatch(toy.train.frame, toy.train.frame.drop(columns=["age", "city"])) == 2 / 5


def test_wasserstein_of_two_points_is_half_their_squared_distance(table_of):
    table = table_of(pd.DataFrame({"x": [0.0, 10.0], "y": [5.0, 5.0]}))
    first, second = (pd.DataFrame({"x": [x] * 3, "y": [5.0] * 3}) for x in (2.0, 7.0))
    distance = joint_wasserstein(first, second, table.schema, fitted_on=table.frame)
    assert distance == pytest.approx(0.5 * 0.5**2)


def test_wasserstein_reads_at_most_max_rows_and_follows_the_seed(toy):
    values = {seed: Fidelity(max_rows=40).evaluate(toy, toy.test, seed=seed)["wasserstein"] for seed in (0, 1)}
    assert values[0] != values[1]
    assert values[0] == Fidelity(max_rows=40).evaluate(toy, toy.test, seed=0)["wasserstein"]


def test_marginal_wasserstein_of_a_shift_is_the_shift_over_the_range(table_of):
    table = table_of(pd.DataFrame({"x": [0.0, 5.0, 10.0], "y": [1.0, 2.0, 5.0]}))
    shifted = table.frame.assign(x=table.frame["x"] + 2)
    assert marginal_wasserstein(table.frame, shifted, table.schema) == pytest.approx((2 / 10 + 0) / 2)


def test_similarities_equal_sdmetrics(toy, breast_cancer):
    from sdmetrics.single_table import ContingencySimilarity, CorrelationSimilarity, KSComplement, TVComplement

    for splits in (toy, breast_cancer):
        schema, real, rows = splits.schema, splits.train.frame, splits.test.frame
        metadata = sdmetrics_metadata(schema)
        expected = CorrelationSimilarity.compute(real, rows, metadata)
        assert correlation_similarity(real[schema.numeric], rows[schema.numeric]) == pytest.approx(expected, rel=1e-9)
        numeric, categorical = column_shapes(real, rows, schema)
        assert np.mean(numeric) == pytest.approx(KSComplement.compute(real, rows, metadata))
        assert np.mean(categorical) == pytest.approx(TVComplement.compute(real, rows, metadata))
        if len(schema.categorical) > 1:
            expected = ContingencySimilarity.compute(real, rows, metadata)
            assert expected < 1
            assert contingency_similarity(real[schema.categorical], rows[schema.categorical]) == pytest.approx(expected)


def test_columns_that_are_nearly_equal_raise_no_warning(table_of):
    frame = pd.DataFrame({"x": np.random.default_rng(0).normal(size=3000), "y": np.zeros(3000)})
    other = frame.copy()
    other.loc[:1, "x"] += 10  # scipy has no exact p-value for this
    numeric, _ = column_shapes(frame, other, table_of(frame, task=Task.REGRESSION).schema)
    assert numeric == pytest.approx([1 - 2 / 3000, 1], abs=1e-3)


def test_column_shapes_weighs_columns_alike(toy):
    measures = Fidelity().evaluate(toy, toy.test, seed=0)
    mean = (measures["column_shapes/numeric"] + measures["column_shapes/categorical"]) / 2  # two columns of each kind
    assert measures["column_shapes"] == pytest.approx(mean)


def test_a_collapsed_column_has_lost_its_correlation():
    real = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": [2.0, 4.0, 6.0]})
    assert correlation_similarity(real, real.assign(b=0.1)) == pytest.approx(0.5)


def test_columns_constant_in_the_real_table_are_left_out_of_correlations(toy):
    rows = toy.train.frame[["age", "income"]]
    assert correlation_similarity(rows.assign(c=1.0), rows.assign(c=2.0)) == pytest.approx(1)
    assert np.isnan(correlation_similarity(rows.assign(income=1.0), rows))


def test_what_a_table_lacks_is_nan_with_a_reason(breast_cancer, diabetes_progression):
    measures = Fidelity().evaluate(breast_cancer, breast_cancer.test, seed=0)
    assert measures.reasons == {"contingency_similarity": "fewer than two category columns"}
    measures = Fidelity().evaluate(diabetes_progression, diabetes_progression.test, seed=0)
    assert set(measures.reasons) == {"contingency_similarity", "column_shapes/categorical"}


def test_bad_tables_give_values_or_reasons(toy, spoiled, assert_sound):
    measures = Fidelity(max_rows=40).evaluate(toy, spoiled(toy.train), seed=0)
    assert_sound(Fidelity(), measures)
    assert len(measures) == len(Fidelity.metrics)
