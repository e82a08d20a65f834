"""CTAB-GAN+'s encoding of rows: which column is encoded how, and that nothing is lost on the way."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toys import make_splits, splits_of

from baselines.ctabgan.encoding_rules import EncodingRules, fit_encoding, gaussian_modes, number_code
from baselines.ctabgan.mode_encoding import ColumnCode, RowEncoding
from harmonic.errors import ConfigError, DataError
from harmonic.tables.table import Table, Task

ROWS = 600


def columns() -> dict[str, np.ndarray]:
    """One column of every kind."""
    random = np.random.default_rng(5)
    tail = np.round(random.lognormal(3, 1.5, ROWS), 2)
    return {
        "category": random.choice(["cook", "judge", "nurse"], ROWS).astype(object),
        "many": np.array([f"town {i:03}" for i in random.permutation(ROWS) // 3], dtype=object),
        "few": random.integers(1, 5, ROWS),
        "normal": np.round(random.normal(100, 15, ROWS), 2),
        "two peaks": np.round(random.choice([0, 9], ROWS, p=[0.4, 0.6]) + random.normal(0, 1, ROWS), 3),
        "tail": tail,
        "spike": np.where(random.random(ROWS) < 0.4, 0.0, np.round(random.uniform(20, 90, ROWS), 1)),
        "spike and tail": np.where(random.random(ROWS) < 0.7, 0, tail.astype(np.int64) + 5),
        "constant": np.full(ROWS, 7),
        "label": np.where(random.random(ROWS) < 0.3, 1, 0),
    }  # fmt: skip


@pytest.fixture(scope="module")
def table() -> Table:
    return splits_of(pd.DataFrame(columns()), "label", Task.BINARY, (ROWS, 0)).train


@pytest.fixture(scope="module")
def encoding(table: Table) -> RowEncoding:
    return fit_encoding(table, EncodingRules(), 0)


def test_the_rules_choose_by_what_the_columns_show(encoding: RowEncoding) -> None:
    codes = {code.name: code for code in encoding.codes}
    shapes = {
        name: (bool(code.levels), "log" if code.shift is not None else "", len(code.centres) > 1, code.width)
        for name, code in codes.items()
    }
    assert shapes["category"] == (True, "", False, 3)
    assert shapes["many"] == (False, "", False, 1)  # 200 values: one number
    assert shapes["few"] == (True, "", False, 4)  # four values: categories
    assert shapes["normal"] == (False, "", False, 1)  # one bell: the range
    assert shapes["two peaks"][:3] == (False, "", True)
    assert shapes["tail"][:2] == (False, "log")
    assert codes["spike"].levels == [0.0] and codes["spike"].shift is None and codes["spike"].centres
    assert codes["spike and tail"].levels == [0.0] and codes["spike and tail"].shift == 0.0
    assert shapes["constant"] == (True, "", False, 0)
    assert shapes["label"] == (True, "", False, 2)


def test_every_kind_of_column_comes_back(table: Table, encoding: RowEncoding) -> None:
    frame = table.frame
    rows = encoding.encode(frame, np.random.default_rng(0))
    found = encoding.decode(rows)
    assert list(found) == list(frame)
    for name in ("category", "many", "few", "constant", "label"):
        assert (found[name] == frame[name]).all(), name
    for name in ("normal", "two peaks", "tail", "spike", "spike and tail"):
        # values beyond four standard deviations of their mode are cut off, as published
        error = (found[name] - frame[name]).abs() / frame[name].std()
        assert error.quantile(0.99) < 1e-5 and error.max() < 0.3, name
    for name in ("spike", "spike and tail"):
        assert ((found[name] == 0) == (frame[name] == 0)).all()  # special values exactly, and nothing else as them


def test_encoded_rows_are_numbers_within_one_and_choices_of_one(table: Table, encoding: RowEncoding) -> None:
    rows = encoding.encode(table.frame, np.random.default_rng(0))
    assert rows.shape == (ROWS, encoding.width) and rows.dtype == np.float32
    assert np.abs(rows[:, encoding.numbers]).max() <= 1
    for selector in encoding.selectors:
        assert (rows[:, selector].sum(axis=1) == 1).all() and set(np.unique(rows[:, selector])) <= {0, 1}
    taken = sorted([*encoding.numbers, *(i for s in encoding.selectors for i in range(s.start, s.stop))])
    assert taken == list(range(encoding.width))  # every place has one meaning


def test_modes_of_a_known_mixture_are_found() -> None:
    random = np.random.default_rng(0)
    truth = {-50.0: (1.0, 0.3), 0.0: (4.0, 0.5), 100.0: (10.0, 0.2)}
    values = np.concatenate([random.normal(mean, sd, int(4000 * share)) for mean, (sd, share) in truth.items()])
    centres, spreads, weights = gaussian_modes(values, EncodingRules(), 0)
    assert weights.sum() == pytest.approx(1)
    for mean, (sd, share) in truth.items():
        near = np.abs(centres - mean) < 4 * sd  # the mixture may lay several modes over one bell
        assert weights[near].sum() == pytest.approx(share, abs=0.01)
        assert np.average(centres[near], weights=weights[near]) == pytest.approx(mean, abs=0.2 * sd)
        variance = np.average((spreads[near] / 4) ** 2 + (centres[near] - mean) ** 2, weights=weights[near])
        assert np.sqrt(variance) == pytest.approx(sd, rel=0.1)


def test_overlapping_modes_are_drawn_by_their_density() -> None:
    code = ColumnCode(name="x", low=-9, high=9, centres=[-1.0, 2.0], spreads=[4.0, 8.0], weights=[0.3, 0.7])
    drawn = code.encode(np.full(20_000, 0.5), np.random.default_rng(1))[:, 1:].mean(axis=0)
    densities = np.array([0.3 * np.exp(-(1.5**2) / 2), 0.7 / 2 * np.exp(-(0.75**2) / 2)])
    assert drawn == pytest.approx(densities / densities.sum(), abs=0.01)


def test_the_user_overrules_the_rules(table: Table) -> None:
    rules = EncodingRules(
        transforms={"normal": "modes", "two peaks": "min_max", "tail": "modes", "few": "log_modes", "many": "one_hot"},
        special_values={"two peaks": [1.0], "spike": [], "few": [2.0]},
    )
    codes = {code.name: code for code in fit_encoding(table, rules, 0).codes}
    assert codes["normal"].weights and not codes["normal"].levels
    assert len(codes["two peaks"].centres) == 1 and codes["two peaks"].width == 1
    assert codes["tail"].shift is None and codes["tail"].centres
    assert codes["few"].levels == [2.0] and codes["few"].shift == 0.0
    assert codes["many"].choices == 200
    assert codes["spike"].levels == []


def test_a_logarithm_takes_negative_numbers_where_it_is_asked_for() -> None:
    values = np.random.default_rng(0).lognormal(0, 1, 400) - 3
    code = number_code("x", values, EncodingRules(), "log_modes", [], 0)
    assert code.shift == 1 - values.min()  # arXiv 2102.08369, section 3.2: log(x - l + epsilon), epsilon = 1
    back = code.decode(code.encode(values, np.random.default_rng(0)))
    assert np.quantile(np.abs(back - values), 0.99) < 1e-5


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        (np.arange(1000), []),  # all alike
        (np.r_[np.zeros(19), np.arange(1, 982)], []),  # 19 of 1000 rows
        (np.r_[np.zeros(20), np.arange(1, 981)], [0.0]),  # 2% of the rows, 19.6 times an even share
        (np.r_[np.zeros(90), np.arange(910) % 99 + 1], []),  # 9% of the rows, but 9 times an even share only
        (np.r_[np.zeros(110), np.arange(890) % 99 + 1], [0.0]),
        (np.r_[np.zeros(300), np.full(200, 40), np.arange(500)], [0.0, 40.0]),
    ],
)
def test_special_values_are_frequent_for_their_column(values: np.ndarray, levels: list[float]) -> None:
    assert number_code("x", values.astype(float), EncodingRules(), None, None, 0).levels == levels


def test_a_numeric_target_of_a_classification_is_one_hot_whatever_its_number_of_values() -> None:
    frame = pd.DataFrame({"x": np.arange(ROWS) % 3, "y": np.arange(ROWS) // 12})
    code = fit_encoding(splits_of(frame, "y", Task.MULTICLASS, (ROWS, 0)).train, EncodingRules(), 0).codes[-1]
    assert code.choices == 50 and not code.centres
    code = fit_encoding(splits_of(frame, "y", Task.REGRESSION, (ROWS, 0)).train, EncodingRules(), 0).codes[-1]
    assert code.centres and not code.levels


def test_what_is_kept_as_json_is_the_encoding(encoding: RowEncoding) -> None:
    assert RowEncoding.from_list(json.loads(json.dumps(encoding.to_list()))) == encoding


def test_wild_rows_decode_within_the_training_range(table: Table, encoding: RowEncoding) -> None:
    found = encoding.decode(np.random.default_rng(0).choice([-1.0, 0.0, 1.0], (500, encoding.width)))
    for name in table.schema.numeric:
        assert found[name].between(table.frame[name].min(), table.frame[name].max()).all()
    for name in table.schema.categorical:
        assert set(found[name]) <= set(table.frame[name])


def test_the_seed_decides() -> None:
    values = np.random.default_rng(0).gamma(2, 1, 100)
    first, again = (number_code("x", values, EncodingRules(), "modes", [], 0) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ({"max_modes": 0}, r"generator\.encoding\.max_modes=0"),
        ({"transforms": {"ages": "modes"}}, r"transforms\.ages=modes: unknown column(.|\n)*'age'"),
        ({"transforms": {"age": "mods"}}, r"transforms\.age=mods(.|\n)*'modes'"),
        ({"transforms": {"job": "modes"}}, r"transforms\.job=modes"),
        ({"transforms": {"y": "min_max"}}, r"transforms\.y=min_max"),
        ({"special_values": {"job": [0]}}, r"special_values\.job=\[0\]"),
    ],
)
def test_rules_that_fit_no_column_are_refused(rules: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        fit_encoding(make_splits().train, EncodingRules(**rules), 0)


def test_a_table_that_never_varies_is_an_error() -> None:
    frame = pd.DataFrame({"x": np.full(9, 2.5), "y": np.array(["a"] * 9, dtype=object)})
    with pytest.raises(DataError, match="only one value"):
        fit_encoding(splits_of(frame, "y", Task.BINARY, (9, 0)).train, EncodingRules(), 0)
