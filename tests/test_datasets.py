"""Datasets from end to end, and every file of conf/dataset: .venv/bin/pytest tests/test_datasets.py."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from harmonic.datasets import Dataset
from harmonic.errors import ConfigError, DataError
from harmonic.tables.reading.files import read_given_splits
from harmonic.tables.splits import Splits
from harmonic.tables.table import Kind, Task

CONF = Path(__file__).resolve().parents[1] / "conf" / "dataset"
SIX = {  # rows of train, val, test; target; task; description; kinds in the file's order
    "german": (700, 100, 200, "status", Task.BINARY, "user credit scores", "ciccicciccicicciciccc"),
    "diabetes": (491, 123, 154, "Outcome", Task.BINARY, "diabetic patients", "ffffffffc"),
    "adult": (26048, 6513, 16281, "class", Task.BINARY, "individual annual income", "fcfcfcccccfffcc"),
    "buddy": (12053, 3014, 3767, "breed_category", Task.MULTICLASS, "adopting animals", "fffcffiiic"),
    "abalone": (2672, 669, 836, "Class_number_of_rings", Task.REGRESSION, "abalone", "cfffffffi"),
    "california": (13209, 3303, 4128, "median_house_value", Task.REGRESSION, "California housing prices", "fffffffff"),
}


def configured(name: str, data_dir: Path | None = None, /, **changes: object) -> Dataset:
    """The dataset of a conf file, as Hydra would build it."""
    given = {"data_dir": data_dir and str(data_dir), "canaries": {"count": 0, "repeats": 1}}
    root = OmegaConf.create({**given, "dataset": OmegaConf.load(CONF / f"{name}.yaml")})
    fields = OmegaConf.to_container(root.dataset, resolve=True)
    assert isinstance(fields, dict)
    assert (fields.pop("_target_"), fields.pop("_convert_")) == ("harmonic.datasets.Dataset", "all")
    return Dataset(**{str(key): value for key, value in {**fields, **changes}.items()})


def toy(rows: int = 40) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "age": rng.integers(18, 90, rows),
            "income": rng.normal(size=rows).round(2),
            "job": rng.choice(["clerk", "cook", "pilot"], rows),
            "churn": ["yes", "no"] * (rows // 2),
        }
    )


def from_csv(folder: Path, frame: pd.DataFrame | str, **fields: object) -> Dataset:
    path = folder / "toy.csv"
    path.write_text(frame if isinstance(frame, str) else frame.to_csv(index=False))
    return configured("csv", path=str(path), target="churn", **fields)


def rows_of(splits: Splits) -> list[tuple[str, ...]]:
    parts = (splits.train, splits.val, splits.test)
    return sorted(row for part in parts for row in part.texts().itertuples(index=False, name=None))


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_conf_file_instantiates_and_is_documented(path: Path) -> None:
    dataset = configured(path.stem)
    assert dataset.name == (None if path.stem == "csv" else path.stem)  # a file's table is called as the file is
    assert dataset.data_dir is None
    head = path.read_text().splitlines()[:4]
    assert head[0].startswith("# ")
    assert any(line.startswith(f"#   harmonic dataset={path.stem}") for line in head)


def test_conf_files_hold_the_six_tables_and_a_csv() -> None:
    assert {path.stem for path in CONF.glob("*.yaml")} >= {*SIX, "csv"}


@pytest.mark.parametrize("name", SIX)
def test_table_loads_from_data_dir_unchanged(data_dir: Path, name: str) -> None:
    *sizes, target, task, description, kinds = SIX[name]
    splits = configured(name, data_dir).load(seed=5)
    schema = splits.schema
    assert [len(splits.train), len(splits.val), len(splits.test)] == sizes
    assert (schema.target, schema.task, schema.description) == (target, task, description)
    assert schema.names[-1] == target
    assert "".join(column.kind[0] for column in schema.columns) == kinds
    for part, published in zip((splits.train, splits.val, splits.test), read_given_splits(data_dir, name), strict=True):
        pd.testing.assert_frame_equal(part.texts(), published)  # every cell renders as the file has it
        pd.testing.assert_frame_equal(schema.conform(part.frame), part.frame)
    assert splits.notes == ()
    assert "given splits" in splits.source


@pytest.mark.parametrize("name", ["german", "diabetes", "abalone"])
def test_given_splits_in_own_sizes_come_out_of_the_fractions(data_dir: Path, name: str, tmp_path: Path) -> None:
    pd.concat(read_given_splits(data_dir, name)).to_csv(tmp_path / "all.csv", index=False)
    given, own = configured(name, data_dir).load(0), configured(name, path=str(tmp_path / "all.csv")).load(0)
    assert [len(own.train), len(own.val), len(own.test)] == list(SIX[name][:3])
    assert own.schema == given.schema
    assert rows_of(own) == rows_of(given)


def test_given_splits_do_not_depend_on_the_seed(data_dir: Path) -> None:
    german = configured("german", data_dir)
    assert german.load(0).fingerprint() == german.load(1).fingerprint()


def test_adult_loads_quickly(data_dir: Path) -> None:
    start = time.perf_counter()
    configured("adult", data_dir).load(0)
    assert time.perf_counter() - start < 5  # 0.4 s where nothing else runs


@pytest.mark.parametrize("name", ["german", "diabetes"])
def test_packaged_table_loads_without_folder_or_network(name: str) -> None:
    *sizes, target, task, description, kinds = SIX[name]
    splits = configured(name).load(seed=0)
    assert [len(splits.train), len(splits.val), len(splits.test)] == sizes
    assert (splits.schema.target, splits.schema.task, splits.schema.description) == (target, task, description)
    assert "".join(column.kind[0] for column in splits.schema.columns) == kinds
    assert splits.source == f"packaged {name}"
    assert splits.notes == ()
    assert set(configured(name).labels or {}) == set(splits.train.target)


def test_packaged_schema_is_that_of_the_papers_splits(data_dir: Path) -> None:
    for name in ("german", "diabetes"):
        assert configured(name).load(0).schema == configured(name, data_dir).load(0).schema


@pytest.mark.parametrize(
    ("name", "rows", "classes"), [("wine", (113, 29, 36), 3), ("breast_cancer", (364, 91, 114), 2)]
)
def test_scikit_learns_own_tables_load_without_a_network(name: str, rows: tuple[int, ...], classes: int) -> None:
    from sklearn import datasets

    splits = configured(name).load(seed=0)
    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    assert (len(splits.train), len(splits.val), len(splits.test)) == rows and sum(rows) == len(bunch.frame)
    assert set(configured(name).labels or {}) == set(splits.train.target) and len(set(splits.train.target)) == classes
    whole = pd.concat([part.frame for part in (splits.train, splits.val, splits.test)])
    for column in bunch.feature_names:
        assert sorted(whole[column]) == sorted(bunch.frame[column])
    assert dict(whole["target"].value_counts()) == dict(zip(bunch.target_names, np.bincount(bunch.target), strict=True))


def test_of_a_larger_table_so_many_rows_are_drawn_by_the_seed(tmp_path: Path) -> None:
    whole = set(rows_of(from_csv(tmp_path, toy(200)).load(0)))
    drawn = [from_csv(tmp_path, toy(200), max_rows=50).load(seed) for seed in (0, 0, 1)]
    kept = [set(rows_of(splits)) for splits in drawn]
    assert all(len(rows_of(splits)) == 50 and rows <= whole for splits, rows in zip(drawn, kept, strict=True))
    assert kept[0] == kept[1] != kept[2] and drawn[0].fingerprint() == drawn[1].fingerprint()
    assert "50 of 200 rows, drawn at random (dataset.max_rows)" in drawn[0].notes
    small = from_csv(tmp_path, toy(40), max_rows=50).load(0)
    assert len(rows_of(small)) == 40 and not any("drawn" in note for note in small.notes)


def test_rows_drawn_from_given_splits_stay_in_their_part_whatever_the_seed(tmp_path: Path) -> None:
    raw = tmp_path / "toy" / "raw"
    raw.mkdir(parents=True)
    given = {"train": toy(100), "val": toy(160)[100:130], "test": toy(160)[130:]}
    for part, frame in given.items():
        frame.to_csv(raw / f"toy_{part}.csv", index=False)
    fields = {"name": "toy", "target": "churn", "data_dir": str(tmp_path), "max_rows": 60}
    drawn = [configured("csv", None, **fields).load(seed) for seed in (0, 1)]
    assert drawn[0].fingerprint() == drawn[1].fingerprint()
    assert len(rows_of(drawn[0])) == 60
    for part, frame in given.items():
        own = {tuple(row) for row in frame[["age", "job"]].astype(str).itertuples(index=False)}
        assert {tuple(row) for row in getattr(drawn[0], part).texts()[["age", "job"]].itertuples(index=False)} <= own


def test_same_seed_gives_the_same_splits_and_another_gives_others() -> None:
    prints = [configured("diabetes").load(seed).fingerprint() for seed in (1, 1, 2)]
    assert prints[0] == prints[1] != prints[2]


def test_stratified_split_keeps_the_share_of_each_class() -> None:
    splits = configured("german").load(3)
    assert [(part.target == "1").sum() for part in (splits.train, splits.val, splits.test)] == [210, 30, 60]


def test_splits_share_the_schema_of_the_whole_table(tmp_path: Path) -> None:
    frame = toy()
    frame.loc[0, "age"], frame.loc[0, "job"] = 1000, "diver"  # in one split only
    splits = from_csv(tmp_path, frame).load(0)
    assert splits.train.schema == splits.val.schema == splits.test.schema
    assert splits.schema["age"].maximum == 1000
    assert "diver" in splits.schema["job"].categories
    assert rows_of(splits) == sorted(frame.astype(str).itertuples(index=False, name=None))


def test_csv_reports_what_was_inferred(tmp_path: Path) -> None:
    frame = toy().assign(country="NL", name=[f"p{n}" for n in range(40)], code=["007", "008"] * 20)
    splits = from_csv(tmp_path, frame).load(0)
    assert splits.schema.task is Task.BINARY
    notes = "\n".join(splits.notes)
    for part in (
        "'churn': binary classification",
        "'country' is constant",
        "'name' is an identifier",
        "'code' is read",
    ):
        assert part in notes


def test_target_need_not_be_the_last_column(tmp_path: Path) -> None:
    splits = from_csv(tmp_path, toy()[["churn", "age", "job", "income"]]).load(0)
    assert splits.schema.names == ["churn", "age", "job", "income"]
    assert splits.schema.target == "churn"


def test_regression_splits_without_classes(tmp_path: Path) -> None:
    splits = from_csv(tmp_path, toy().rename(columns={"churn": "left", "income": "churn"})).load(0)
    assert splits.schema.task is Task.REGRESSION
    assert splits.schema["churn"].kind is Kind.FLOAT
    assert [len(splits.train), len(splits.val), len(splits.test)] == [25, 7, 8]


@pytest.mark.parametrize("missing", ["", "NA", "NaN", "nan", "null"])
def test_missing_values_stop_with_columns_and_counts(tmp_path: Path, missing: str) -> None:
    frame = toy().astype(object)
    frame.loc[[0, 1], "age"] = missing
    frame.loc[[1, 5], "job"] = missing
    with pytest.raises(DataError, match=r"in 3 of 40 rows: 'age' 2, 'job' 2\n.*dataset.missing=drop"):
        from_csv(tmp_path, frame, missing="error").load(0)
    splits = from_csv(tmp_path, frame, missing="drop").load(0)
    assert len(rows_of(splits)) == 37
    assert splits.schema["age"].kind is Kind.INTEGER
    assert "dropped 3 of 40 rows with missing values: 'age' 2, 'job' 2" in splits.notes


def test_missing_values_are_kept_but_for_the_target(tmp_path: Path) -> None:
    frame = toy().astype(object)
    frame.loc[[0, 1], "age"] = ""
    frame.loc[[1, 5], "churn"] = ""
    frame["empty"] = ""
    splits = from_csv(tmp_path, frame).load(0)
    assert "dropped 2 of 40 rows without a value of 'churn'" in splits.notes
    assert splits.schema["age"].missing == "" and splits.schema["job"].missing is None
    parts = pd.concat([part.frame for part in (splits.train, splits.val, splits.test)])
    assert int(parts["age"].isna().sum()) == 1
    assert splits.layout is not None and [aside.name for aside in splits.layout.asides] == ["empty"]


def test_texts_for_missing_values_can_be_chosen(tmp_path: Path) -> None:
    frame = toy().astype(object)
    frame.loc[0, "job"], frame.loc[1, "job"] = "?", "NA"
    kept = from_csv(tmp_path, frame, missing_values=[]).load(0)
    assert {"?", "NA"} < set(kept.schema["job"].categories)
    dropped = from_csv(tmp_path, frame, missing_values=["?"], missing="drop").load(0)
    assert set(dropped.schema["job"].categories) == {"NA", "clerk", "cook", "pilot"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": ""}, r"columns without any value: \['age'\]"),
        ({"churn": "yes"}, "has only one value, 'yes'"),
        ({"churn": [f"id{n}" for n in range(40)]}, "40 classes in 40 rows"),
    ],
)
@pytest.mark.parametrize("missing", ["error", "drop"])
def test_unusable_columns_are_refused(tmp_path: Path, change: dict[str, object], message: str, missing: str) -> None:
    with pytest.raises(DataError, match=message):
        from_csv(tmp_path, toy().assign(**change), missing=missing).load(0)  # type: ignore[arg-type]


def test_rows_that_all_lack_something_are_refused(tmp_path: Path) -> None:
    frame = toy().astype(object)
    frame.loc[:19, "age"] = frame.loc[20:, "job"] = ""
    with pytest.raises(DataError, match="every row has a missing value: 'age' 20, 'job' 20"):
        from_csv(tmp_path, frame, missing="drop").load(0)


def test_three_rows_are_refused_and_eight_are_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="3 rows are too few"):
        from_csv(tmp_path, "a,churn\n1,x\n2,y\n3,x\n").load(0)
    splits = from_csv(tmp_path, toy(8)).load(0)
    assert [len(splits.train), len(splits.val), len(splits.test)] == [4, 2, 2]
    assert [len(splits.reference), len(splits.holdout)] == [1, 1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"identifiers": "hash"}, r"dataset.identifiers=hash(.|\n)*drop, grouped, new"),
        ({"target": "chrun"}, r"dataset.target=chrun(.|\n)*did you mean 'churn'"),
        ({"path": None}, r"dataset.path=null: no file is given"),
        ({"path": "nowhere.csv"}, "dataset.path=nowhere.csv: no such file"),
        ({"path": None, "source": "opnml"}, r"dataset.source=opnml(.|\n)*'openml'"),
        ({"missing": "impute"}, "dataset.missing=impute"),
        ({"labels": {"yes": "leaves"}}, r"dataset.labels=.*the classes of 'churn' are \['no', 'yes'\]"),
        ({"labels": {"1": "one"}, "target": "income"}, "has no classes: the task is regression"),
        ({"split": {"train": 0.5, "val": 0.5}}, "dataset.split="),
        ({"kinds": {"ag": "float"}}, r"dataset.kinds=\{ag: float\}(.|\n)*'age'"),
        ({"delimiter": ",,"}, "dataset.delimiter="),
        ({"max_rows": 7}, "dataset.max_rows=7: must be a whole number of at least 8, or null"),
        ({"path": None, "source": "scikit-learn", "name": "wien"}, r"dataset.name=wien(.|\n)*'wine'"),
    ],
)
def test_wrong_settings_name_key_value_and_fix(tmp_path: Path, fields: dict[str, object], message: str) -> None:
    (tmp_path / "toy.csv").write_text(toy().to_csv(index=False))
    settings: dict[str, object] = {"path": str(tmp_path / "toy.csv"), "target": "churn", **fields}
    with pytest.raises(ConfigError, match=message) as error:
        configured("csv", **settings).load(0)  # type: ignore[arg-type]
    assert "\n  fix: " in str(error.value)


@pytest.mark.parametrize("name", SIX)
def test_data_dir_without_the_table_is_an_error_even_where_it_is_packaged(tmp_path: Path, name: str) -> None:
    (tmp_path / "toy" / "raw").mkdir(parents=True)
    with pytest.raises(ConfigError, match=rf"data_dir=.*has no dataset '{name}'\n.*known: toy"):
        configured(name, tmp_path).load(0)


def test_path_comes_before_data_dir(tmp_path: Path) -> None:
    (tmp_path / "toy.csv").write_text(toy().to_csv(index=False))
    own = configured("buddy", tmp_path, path=str(tmp_path / "toy.csv"), target="churn", task=None).load(0)
    assert own.source.startswith("file ")


def test_given_split_that_loses_its_rows_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "toy" / "raw"
    folder.mkdir(parents=True)
    for part, rows in (("train", "1,x\n2,y\n3,x\n"), ("val", "1,x\n,y\n"), ("test", "1,x\n2,y\n")):
        (folder / f"toy_{part}.csv").write_text("a,churn\n" + rows)
    dataset = configured("csv", name="toy", data_dir=str(tmp_path), target="churn", missing="drop")
    with pytest.raises(DataError, match="the given val split has 1 usable rows"):
        dataset.load(0)


def test_class_that_is_only_tested_is_noted(tmp_path: Path) -> None:
    folder = tmp_path / "toy" / "raw"
    folder.mkdir(parents=True)
    for part, rows in (("train", "1,x\n2,y\n"), ("val", "1,x\n2,y\n"), ("test", "1,z\n2,y\n")):
        (folder / f"toy_{part}.csv").write_text("a,churn\n" + rows)
    splits = configured("csv", name="toy", data_dir=str(tmp_path), target="churn").load(0)
    assert "classes of 'churn' that no training row has: ['z']" in splits.notes
