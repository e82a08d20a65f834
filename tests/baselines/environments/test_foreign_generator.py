"""A generator behind a script: rows go there and come back as the schema has them, whatever is in between."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pandas as pd
import pytest
from contracts import assert_conforms
from toys import make_splits

from baselines.environments.foreign_generator import ForeignGenerator
from harmonic.errors import ConfigError, SamplingError
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table, Task

SCRIPT = """
from pathlib import Path
import numpy as np
import pandas as pd


def fit(*, tell, table, columns, seed, settings, directory):
    frame = pd.read_parquet(table)
    assert list(frame) == list(columns) == [f"c{place}" for place in range(len(columns))]
    assert set(columns.values()) <= {"integer", "float", "category"}
    frame.to_parquet(Path(directory) / "learnt.parquet")
    tell(2, 2)
    return {"facts": {"rows": len(frame)}, "learnt": [3, 1, 2]} if settings.get("some") else {}


def sample(*, tell, n, columns, seed, settings, directory, output):
    frame = pd.read_parquet(Path(directory) / "learnt.parquet")
    rows = frame.sample(n, replace=True, random_state=seed)
    random = np.random.default_rng(seed)
    for name, kind in columns.items():
        if kind != "category":
            rows[name] = rows[name] * settings.get("factor", 1)
    rows.loc[random.random(n) < settings.get("gaps", 0), "c0"] = None
    rows.head(settings.get("most", n)).to_parquet(output)
    return {}
"""


@dataclass(kw_only=True)
class Mine(ForeignGenerator):
    script: ClassVar[str] = "mine.py"
    takes_gaps: ClassVar[bool] = True

    environment: str = "mine"


def fitted(scripts: Path, splits: Splits, **settings: float) -> Mine:
    (scripts / "mine.py").write_text(SCRIPT, encoding="utf-8")
    generator, folder = Mine(settings=settings), scripts.parent
    generator.prepare(splits, 5, seed=0, directory=folder)
    facts = generator.fit(splits, seed=0, prepared=folder, directory=folder)
    assert facts == ({"rows": float(len(splits.train))} if settings.get("some") else {})
    later = replace(generator)
    later.load(splits, prepared=folder, directory=folder)
    return later


@pytest.mark.parametrize("task", [Task.BINARY, Task.REGRESSION])
def test_rows_go_there_and_come_back(scripts: Path, task: Task) -> None:
    splits = make_splits(task)
    generator = fitted(scripts, splits)
    found = generator.sample(40, seed=1, directory=scripts.parent).frame
    assert_conforms(found, splits, 40)
    real = set(splits.train.frame.itertuples(index=False, name=None))
    assert set(found.itertuples(index=False, name=None)) <= real  # nothing was changed on the way
    pd.testing.assert_frame_equal(generator.sample(40, seed=1, directory=scripts.parent).frame, found)
    assert not generator.sample(40, seed=2, directory=scripts.parent).frame.equals(found)


def test_numbers_are_kept_to_the_range_of_the_schema(scripts: Path) -> None:
    splits = make_splits()
    found = fitted(scripts, splits, factor=1000).sample(9, seed=1, directory=scripts.parent).frame
    assert (found["age"] == splits.schema["age"].maximum).all()


def test_the_rows_that_were_learnt_are_those_that_the_script_names(scripts: Path) -> None:
    named = fitted(scripts, make_splits(), some=1).learnt_rows(60, seed=0, prepared=scripts, directory=scripts.parent)
    assert named.tolist() == [1, 2, 3]
    every = fitted(scripts, make_splits()).learnt_rows(60, seed=0, prepared=scripts, directory=scripts.parent)
    assert every.tolist() == list(range(60))


def test_rows_with_gaps_that_the_table_has_not_are_drawn_again(scripts: Path) -> None:
    sample = fitted(scripts, make_splits(), gaps=0.5).sample(30, seed=1, directory=scripts.parent)
    assert len(sample.frame) == 30 and not sample.frame.isna().any().any()
    assert sample.validity["rejected/gap"] == sample.validity["answers"] - 30 or sample.validity["raw"] > 0.3
    assert 0.3 < sample.validity["raw"] < 0.7
    with pytest.raises(SamplingError, match=r"0 of 5 rows are whole, of 5 drawn; most lack a value in column 'age'"):
        fitted(scripts, make_splits(), gaps=1).sample(5, seed=1, directory=scripts.parent)


def test_gaps_that_the_table_has_come_back_as_such(scripts: Path) -> None:
    splits = make_splits()
    columns = tuple(replace(one, missing="") if one.name in ("age", "job") else one for one in splits.schema.columns)
    schema = replace(splits.schema, columns=columns)
    frame = splits.train.frame.copy()
    frame.loc[:30, ["age", "job"]] = None
    gappy = replace(splits, train=Table(schema.conform(frame), schema))
    found = fitted(scripts, gappy).sample(400, seed=0, directory=scripts.parent).frame
    pd.testing.assert_frame_equal(schema.conform(found), found)
    assert found["age"].isna().mean() == pytest.approx(31 / 60, abs=0.1)
    assert (found["age"].isna() == found["job"].isna()).all() and found["job"].dropna().map(type).eq(str).all()


def test_too_few_rows_are_an_error(scripts: Path) -> None:
    with pytest.raises(SamplingError, match="it gave 3 of 9 rows"):
        fitted(scripts, make_splits(), most=3).sample(9, seed=1, directory=scripts.parent)


def test_without_the_environment_nothing_is_begun(scripts: Path) -> None:
    with pytest.raises(ConfigError, match="make peer-yours"):
        Mine(environment="yours").prepare(make_splits(), 5, seed=0, directory=scripts)
