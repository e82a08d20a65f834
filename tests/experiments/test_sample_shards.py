"""Rows drawn in shards: the same rows for any number of shards, and none drawn twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pyarrow.parquet import read_schema
from whole_runs import harmonic

from experiments.sample_again import read_settings, sample_again
from experiments.sample_command import main
from harmonic.decoding.decoder import Decoder
from harmonic.errors import ConfigError

TINY = ["llm=tiny", "scale=smoke", "tracker=off", "data_dir=null", "n_samples=6", "stage=fit"]
N = 29


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the default recipe on a file with identifiers, two texts for missing values, and dates."""
    folder = tmp_path_factory.mktemp("tuned")
    frame = pd.DataFrame(
        {
            "key": [f"K-{7 * row + 3:03d}" for row in range(60)],
            "age": [str(20 + 7 * row % 50) for row in range(60)],
            "weight": ["" if row % 9 == 0 else "NA" if row % 7 == 0 else f"{50 + row * 0.37:.2f}" for row in range(60)],
            "day": [f"2024-0{1 + row % 9}-1{row % 10}" for row in range(60)],
            "city": ["Ulm", "Bonn", "Kiel"] * 20,
            "churn": ["yes", "no"] * 30,
        }
    )
    frame.to_csv(folder / "table.csv", index=False)
    own = ["dataset=csv", f"dataset.path={folder / 'table.csv'}", "dataset.target=churn"]
    return harmonic(folder / "outputs", *own, base=TINY)


PARTS = "part_rows=7"  # odd: two rows come from each prompt


def drawn(run: Path, out: Path, *words: str) -> list[Path]:
    return sample_again(run, read_settings([f"n={N}", "seed=2", f"out={out}", PARTS, *words]))


def rows(folder: Path) -> pd.DataFrame:
    return pd.read_parquet(folder)


def test_any_number_of_shards_gives_the_rows_that_one_process_draws(tuned: Path, tmp_path: Path) -> None:
    csv, _ = sample_again(tuned, read_settings([f"n={N}", "seed=2", f"out={tmp_path / 'whole.csv'}"]))
    whole = pd.read_csv(csv, keep_default_na=False, dtype=str)
    one, about = drawn(tuned, tmp_path / "one", "shards=1")
    frame = rows(one)
    assert sorted(path.name for path in one.iterdir()) == [f"part-{part:06d}.parquet" for part in range(5)]
    assert frame["key"].is_unique and not set(frame["key"]) & {f"K-{7 * row + 3:03d}" for row in range(60)}
    assert frame["age"].dtype == "int64" and frame["weight"].dtype == "float64" and frame["weight"].isna().any()
    # The tiny model computes in float32 and the parts are decoded in other batches, so rows could differ by rounding;
    # with these they do not.
    for name in ("key", "age", "day", "city", "churn"):
        assert frame[name].astype(str).tolist() == whole[name].tolist()
    given = ~whole["weight"].isin(["", "NA"])
    assert frame["weight"][given].tolist() == whole["weight"][given].astype(float).tolist()
    assert frame["weight"].isna().tolist() == (~given).tolist()
    told = json.loads(about.read_text())
    assert told["rows"] == N and told["parts"] == 5 and told["columns"]["age"] == "int64"
    assert told["validity"]["constrained"] + told["validity"]["free"] == N

    for shards in (3, 4):
        folder = tmp_path / f"of {shards}"
        for shard in reversed(range(shards)):
            paths = drawn(tuned, folder, f"shards={shards}", f"shard={shard}")
            assert len(paths) == (2 if shard == 0 else 1)  # the last one to finish describes the table
        assert rows(folder).equals(frame)
        again = json.loads(paths[1].read_text())
        assert {**again, "seconds": 0} == {**told, "seconds": 0}


class Killed(BaseException):
    """As a kill: nothing catches it."""


def test_a_killed_shard_goes_on_in_the_middle_of_a_part(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = rows(drawn(tuned, tmp_path / "whole", "shards=1")[0])
    own, calls = Decoder.constrained, []
    monkeypatch.setattr(Decoder, "largest_batch", 3)

    def killed(self: Decoder, prompts: Any, *rest: Any) -> Any:
        calls.append(len(prompts))
        if len(calls) == 5:
            raise Killed
        return own(self, prompts, *rest)

    monkeypatch.setattr(Decoder, "constrained", killed)
    with pytest.raises(Killed):
        drawn(tuned, tmp_path / "cut", "shards=2", "shard=1")
    # Three batches of the first part, and one of the second, are done.
    assert [path.name for path in (tmp_path / "cut").glob("part-*")] == ["part-000002.parquet"]
    assert len(list((tmp_path / "cut").glob(".000003-*.partial/progress.jsonl"))) == 1
    before = len(calls)
    for shard in (1, 0):  # with another number of shards, nothing is drawn again either
        drawn(tuned, tmp_path / "cut", "shards=2", f"shard={shard}")
    assert sum(calls[before:]) == N - 7 - 3
    assert rows(tmp_path / "cut").equals(expected)
    names = [f"part-{part:06d}.parquet" for part in range(5)]
    assert sorted(path.name for path in (tmp_path / "cut").iterdir()) == names


def test_parts_of_another_table_are_not_taken_for_those_that_are_missing(tuned: Path, tmp_path: Path) -> None:
    """Before, `out` with another seed was the old rows, described as the new ones."""
    folder, about = drawn(tuned, tmp_path / "table", "shards=1")
    before = rows(folder), about.read_bytes()
    for words in (["seed=3"], ["n=30"], ["part_rows=9"], ["condition={churn: yes}"], ["temperature=0.5"]):
        with pytest.raises(ConfigError, match="has parts of another table"):
            drawn(tuned, folder, "shards=2", *words)
    assert rows(folder).equals(before[0]) and about.read_bytes() == before[1]


def test_conditions_hold_in_every_part(tuned: Path, tmp_path: Path) -> None:
    folder, about = drawn(tuned, tmp_path / "held", "shards=2", "condition={churn: yes}", "range={age: [30, 50]}")
    frame = rows(folder)
    assert len(frame) == N and set(frame["churn"]) == {"yes"} and frame["age"].between(30, 50).all()
    assert json.loads(about.read_text())["conditions"] == ["churn = 'yes'", "age from 30 to 50"]
    own = [json.loads(read_schema(path).metadata[b"harmonic"]) for path in sorted(folder.glob("part-*"))]
    assert [one["first_row"] for one in own] == [0, 7, 14, 21, 28] and own[-1]["rows"] == 1


def test_a_parquet_file_keeps_its_types(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": pd.array([1, 2, None, 4] * 10, "Int32"), "b": pd.Categorical(list("xyxz") * 10)})
    frame.to_parquet(tmp_path / "table.parquet")
    run = harmonic(
        tmp_path / "outputs", "dataset=csv", f"dataset.path={tmp_path / 'table.parquet'}", "dataset.target=b", base=TINY
    )
    folder, _ = drawn(run, tmp_path / "new", "shards=3")
    assert rows(folder).dtypes.astype(str).to_dict() == {"a": "Int32", "b": "category"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["shards=0"], "must be at least 1"),
        (["shard=1"], "needs the number of all shards"),
        (["shards=3", "shard=3"], "counted from 0 to 2"),
        (["shards=3", "out=all/rows.csv"], "rows in shards are a folder of Parquet files\n  fix: out=all/rows\n"),
    ],
)
def test_a_shard_that_cannot_be_is_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["nowhere", *words])
    assert told in capsys.readouterr().err


def test_what_cannot_be_drawn_in_parts_is_one_clear_error(tmp_path: Path) -> None:
    settings = ["generator=harmonic_dense_synthetic", "evaluator=privacy"]
    synthetic = harmonic(tmp_path / "first", *settings, base=TINY)
    with pytest.raises(ConfigError, match="second round may show any row of the first"):
        drawn(synthetic, tmp_path / "none", "shards=2")
    marginals = harmonic(tmp_path / "second", "generator=marginals", base=TINY)
    with pytest.raises(ConfigError, match="Marginals draws whole tables"):
        drawn(marginals, tmp_path / "none", "shards=2")
    assert not (tmp_path / "none").exists()
