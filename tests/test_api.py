"""The method in a notebook: .venv/bin/pytest tests/test_api.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harmonic import Harmonic
from harmonic.errors import ConfigError, DataError

TUNING = {"max_examples": 4, "epochs": 1}


def frame(rows: int = 30) -> pd.DataFrame:
    draw = np.random.default_rng(0)
    start = pd.Timestamp("2024-01-01")
    return pd.DataFrame(
        {
            "customer_id": np.arange(rows) * 3,
            "age": pd.array([None if n % 5 == 0 else int(draw.integers(18, 90)) for n in range(rows)], dtype="Int64"),
            "vip": draw.random(rows) < 0.5,
            "since": start + pd.to_timedelta(draw.integers(0, 90, rows), unit="D"),
            "price": draw.integers(0, 999, rows) / 100,
            "plan": pd.Categorical(draw.choice(["a", "b"], rows)),
            "churn": draw.choice(["yes", "no"], rows),
        }
    )


@pytest.fixture(scope="module")
def model() -> Harmonic:
    return Harmonic(llm="tiny", tuning=TUNING).fit(frame(), target="churn", description="customers")


def test_synthetic_rows_have_the_frames_shape(model: Harmonic) -> None:
    real, synthetic = frame(), model.sample(7)
    assert len(synthetic) == 7
    pd.testing.assert_series_equal(synthetic.dtypes, real.dtypes)
    assert not set(synthetic["customer_id"]) & set(real["customer_id"])
    assert set(synthetic["churn"]) <= {"yes", "no"}
    assert any("'customer_id' is an identifier" in note for note in model.notes)


def test_the_seed_decides(model: Harmonic) -> None:
    first = model.sample(4, seed=3)
    pd.testing.assert_frame_equal(first, model.sample(4, seed=3))
    assert not first.equals(model.sample(4, seed=4))


def test_conditions_hold_for_every_row(model: Harmonic) -> None:
    rows = model.sample(
        5, condition={"churn": "yes", "vip": True}, between={"since": ["2024-02-01", None], "price": [2, 5]}
    )
    assert (rows["churn"] == "yes").all() and rows["vip"].all()
    assert (rows["since"] >= "2024-02-01").all() and rows["price"].between(2, 5).all()
    with pytest.raises(ConfigError, match="maybe"):
        model.sample(5, condition={"churn": "maybe"})


def test_a_table_needs_no_target(tmp_path: Path) -> None:
    model = Harmonic(llm="tiny", tuning=TUNING, directory=tmp_path / "kept").fit(frame()[["age", "price"]])
    assert list(model.sample(3)) == ["age", "price"]
    assert (tmp_path / "kept" / "adapter").is_dir()


def test_what_cannot_be_is_told_at_once() -> None:
    with pytest.raises(RuntimeError, match="call fit"):
        Harmonic(llm="tiny").sample(3)
    with pytest.raises(ConfigError, match=r"dataset\.target=chrun(.|\n)*'churn'"):
        Harmonic(llm="tiny").fit(frame(), target="chrun")
    with pytest.raises(ConfigError, match=r"llm=smollm(.|\n)*smollm2_135m"):
        Harmonic(llm="smollm").fit(frame(), target="churn")
    with pytest.raises(DataError, match="a cell with several values"):
        Harmonic(llm="tiny").fit(pd.DataFrame({"a": [[1]], "b": [1]}))
    with pytest.raises(ConfigError, match=r"generator\.neighbors\.k=5"):
        Harmonic(llm="tiny").fit(frame(4), target="churn")
