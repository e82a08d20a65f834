"""AIM: its budget, its model against the table, and what is kept of the rows."""

from __future__ import annotations

import pickle
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contracts import assert_conforms, uninstall
from toys import make_splits

from baselines.private_marginals.aim import AimGenerator, _rates
from harmonic.errors import ConfigError, DataError
from harmonic.tables.table import Task
from harmonic.tables.training_view import for_generators

needs_synthcity = pytest.mark.skipif(find_spec("synthcity") is None, reason="pip install 'harmonic[synthcity]'")
QUICK = AimGenerator(rounds_per_column=2, max_model_size=0.5, iterations=60)


def fitted(tmp_path: Path, splits: object, generator: AimGenerator) -> tuple[AimGenerator, dict[str, float]]:
    facts = generator.fit(splits, seed=1, prepared=tmp_path, directory=tmp_path)  # type: ignore[arg-type]
    generator.load(splits, prepared=tmp_path, directory=tmp_path)  # type: ignore[arg-type]
    return generator, facts


@needs_synthcity
@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_rows_conform_follow_the_seed_and_survive_the_way_through_files(tmp_path: Path, task: Task) -> None:
    splits = for_generators(make_splits(task))
    quick = replace(QUICK, rounds_per_column=1, iterations=5)
    generator, _ = fitted(tmp_path, splits, replace(quick))
    state = np.random.get_state()[1].tolist()  # type: ignore[index]
    first = generator.sample(23, seed=1, directory=tmp_path).frame
    assert_conforms(first, splits, 23)
    assert np.random.get_state()[1].tolist() == state  # type: ignore[index]
    again, _ = fitted(tmp_path, splits, replace(quick))
    pd.testing.assert_frame_equal(again.sample(23, seed=1, directory=tmp_path).frame, first)
    assert not again.sample(23, seed=2, directory=tmp_path).frame.equals(first)
    assert len(again.sample(500, seed=1, directory=tmp_path).frame) == 500  # as many as are wanted


@needs_synthcity
def test_with_a_large_epsilon_rows_follow_the_relations_of_the_table(tmp_path: Path) -> None:
    splits = make_splits(rows=600, classes=(400, 200))
    generator, _ = fitted(tmp_path, splits, replace(QUICK, epsilon=1000.0, rounds_per_column=4))
    frame = generator.sample(2000, seed=0, directory=tmp_path).frame
    assert ((frame["town"] == "south") == (frame["y"] == "class 1")).mean() > 0.97  # always, in the table
    assert (frame["y"] == "class 1").mean() == pytest.approx((splits.train.target == "class 1").mean(), abs=0.04)


@needs_synthcity
@pytest.mark.parametrize(("epsilon", "delta"), [(0.5, 1e-6), (1.0, 1e-5), (10.0, 1e-5)])
def test_no_more_is_spent_than_the_guarantee_allows(tmp_path: Path, epsilon: float, delta: float) -> None:
    """From rho to epsilon: Canonne, Kamath, Steinke 2020, arXiv 2004.00010, proposition 12, over many orders."""
    quick = replace(QUICK, epsilon=epsilon, delta=delta, iterations=5)
    _, facts = fitted(tmp_path, make_splits(drop=("noise", "income")), quick)
    orders = np.concatenate([np.linspace(1.001, 20, 20000), np.linspace(20, 2000, 20000)])
    spent = facts["rho"] * orders + np.log1p(-1 / orders) - (np.log(delta) + np.log(orders)) / (orders - 1)
    assert spent.min() == pytest.approx(epsilon, rel=1e-3)  # all of it, and no more


def test_a_round_costs_what_it_is_given() -> None:
    sigma, epsilon = _rates(0.02)
    assert 1 / (2 * sigma**2) + epsilon**2 / 8 == pytest.approx(0.02)


@needs_synthcity
def test_neither_rows_nor_their_counts_are_kept(tmp_path: Path) -> None:
    splits = make_splits(drop=("noise", "income"))
    fitted(tmp_path, splits, replace(QUICK, rounds_per_column=1, iterations=5))
    model = pickle.loads((tmp_path / "model.pkl").read_bytes())
    assert set(vars(model)) == {
        "domain", "total", "junction_tree", "cliques", "message_order", "sep_axes", "neighbors", "elimination_order",
        "size", "potentials", "marginals",
    }  # fmt: skip
    assert not float(model.total).is_integer()  # of noisy counts, as all that it holds


def test_a_column_of_too_many_values_is_refused_before_any_work(tmp_path: Path) -> None:
    if find_spec("synthcity") is None:
        pytest.skip("pip install 'harmonic[synthcity]'")
    with pytest.raises(DataError, match=r"(?s)column 'age' has 16 values.*generator\.max_cells"):
        AimGenerator(max_cells=20).prepare(make_splits(), 5, seed=0, directory=tmp_path)


def test_without_synthcity_the_error_gives_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    uninstall("synthcity", monkeypatch)
    with pytest.raises(ConfigError, match=r"generator=aim(.|\n)*pip install 'harmonic\[synthcity\]'"):
        AimGenerator().prepare(make_splits(), 5, seed=0, directory=tmp_path)
