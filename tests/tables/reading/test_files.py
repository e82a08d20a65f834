"""Reading text tables: .venv/bin/pytest tests/tables/reading/test_files.py."""

from __future__ import annotations

import csv
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from urllib.error import URLError

import numpy as np
import pandas as pd
import pytest
import yaml

from harmonic.datasets import Dataset
from harmonic.errors import ConfigError, DataError
from harmonic.tables.reading.files import (
    CALIFORNIA,
    download_california,
    download_openml,
    parse_csv,
    read_csv,
    read_given_splits,
    read_packaged,
)

CONF = Path(__file__).resolve().parents[3] / "conf" / "dataset"
ADULT_NAMES = (
    "age,workclass,fnlwgt,education,education-num,marital-status,occupation,relationship,race,sex,"
    "capital-gain,capital-loss,hours-per-week,native-country,class"
).split(",")
ABALONE_NAMES = (
    "Sex,Length,Diameter,Height,Whole_weight,Shucked_weight,Viscera_weight,Shell_weight,Class_number_of_rings"
).split(",")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,x\n2,y\n", [["1", "x"], ["2", "y"]]),
        ("a,b\r\n1,x\r\n", [["1", "x"]]),
        ("a,b\n1,x", [["1", "x"]]),  # no newline at the end
        ("\ufeffa,b\n1,x\n", [["1", "x"]]),  # byte order mark
        (" a , b\n 1 , x y \n", [["1", "x y"]]),  # blanks around values
        ('a,b\n1,"x, y"\n', [["1", "x, y"]]),
        ('a,b\n1, "x, y"\n', [["1", "x, y"]]),
        ('a,b\n1,"say ""hi"""\n', [["1", 'say "hi"']]),
        ('a,b\n1,"two\nlines"\n', [["1", "two\nlines"]]),
        ("\na,b\n\n1,x\n\n2,y\n", [["1", "x"], ["2", "y"]]),  # blank lines
        ("a,b\n007,1e5\n1.50,NA\n,nan\n", [["007", "1e5"], ["1.50", "NA"], ["", "nan"]]),  # nothing is interpreted
        ("a,b\nä,東京\n", [["ä", "東京"]]),
    ],
)
def test_cells_are_the_texts_of_the_file(content: str, expected: list[list[str]]) -> None:
    frame = parse_csv(content.encode(), "t.csv")
    assert list(frame.columns) == ["a", "b"]
    assert frame.to_numpy().tolist() == expected


@pytest.mark.parametrize(("delimiter", "mark"), [(";", ";"), ("\t", "\t"), ("tab", "\t"), (r"\t", "\t"), ("|", "|")])
def test_delimiter_splits_the_fields(delimiter: str, mark: str) -> None:
    frame = parse_csv(f"a{mark}b\n1,5{mark}x\n".encode(), "t.csv", delimiter=delimiter)
    assert frame.to_dict("list") == {"a": ["1,5"], "b": ["x"]}


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_encoding_is_what_is_asked_for(encoding: str) -> None:
    assert parse_csv("a,b\nß,é\n".encode(encoding), "t.csv", encoding=encoding).iloc[0].tolist() == ["ß", "é"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"a,b\n", "a header and no rows"),
        (b"a,b\n\n\n", "a header and no rows"),
        (b"a,b\n1,2\n3\n", "line 3 has 1 fields, the header has 2"),
        (b"a,b\n1,2\n3,4,5\n", "line 3 has 3 fields, the header has 2"),
        (b"a,b\n1,2,3\n4,5,6\n", "line 2 has 3 fields"),  # pandas would take the first column for an index
        (b"a,a,b\n1,2,3\n", "more than once: ['a']"),
        (b"a, a,b\n1,2,3\n", "more than once: ['a']"),
        (b"a\n1\n", "names only one column"),
        (b'{\n"a": 1}\n', "is JSON, not CSV"),
        (b'a,b\n1,"x\n', "is not CSV"),
        (b'a,b\n1,"x"y\n', "is not CSV"),
        (b"a,b\n1,\x00\n", "is a binary file"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "is a binary file"),
        ("a,b\n1,x\n".encode("utf-16-le"), "dataset.encoding=utf-16"),
    ],
)
def test_what_is_no_table_is_refused_with_the_reason(content: bytes, problem: str) -> None:
    with pytest.raises(DataError) as error:
        parse_csv(content, "t.csv")
    assert problem in str(error.value)
    assert str(error.value).startswith("t.csv")
    assert "fix: " in str(error.value)


@pytest.mark.parametrize(
    ("options", "key"),
    [({"encoding": "utf-99"}, "dataset.encoding=utf-99"), ({"delimiter": "::"}, "dataset.delimiter='::'")],
)
def test_wrong_option_names_its_key(options: dict[str, str], key: str) -> None:
    with pytest.raises(ConfigError, match=key):
        parse_csv(b"a,b\n1,2\n", "t.csv", **options)


@pytest.mark.parametrize(
    ("path", "problem"),
    [("chrun.csv", "did you mean 'churn.csv'"), (".", "is a folder"), ("nowhere/x.csv", "holds no CSV file")],
)
def test_path_that_is_no_file_is_named_with_near_ones(tmp_path: Path, path: str, problem: str) -> None:
    (tmp_path / "churn.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match=r"dataset\.path=") as error:
        read_csv(tmp_path / path)
    assert problem in str(error.value)


def write_splits(root: Path, name: str, **contents: str) -> None:
    folder = root / name / "raw"
    folder.mkdir(parents=True)
    for part, content in contents.items():
        (folder / f"{name}_{part}.csv").write_text(content)


def test_given_splits_come_in_order(tmp_path: Path) -> None:
    write_splits(tmp_path, "toy", train="a,b\n1,x\n2,y\n", val="a,b\n3,z\n", test="a,b\n4,x\n")
    assert [frame["a"].tolist() for frame in read_given_splits(tmp_path, "toy")] == [["1", "2"], ["3"], ["4"]]


@pytest.mark.parametrize(
    ("contents", "error", "problem"),
    [
        ({"train": "a,b\n1,x\n"}, ConfigError, "lacks toy_val.csv, toy_test.csv"),
        ({"train": "a,b\n1,x\n", "val": "a,c\n1,x\n", "test": "a,b\n1,x\n"}, DataError, "['b', 'c']"),
        ({"train": "a,b\n1,x\n", "val": "b,a\nx,1\n", "test": "a,b\n1,x\n"}, DataError, "another order"),
        ({"train": "a,b\n1,x\n", "val": "a,b\n", "test": "a,b\n1,x\n"}, DataError, "toy_val.csv: has a header and no"),
    ],
)
def test_incomplete_splits_are_refused(
    tmp_path: Path, contents: dict[str, str], error: type[Exception], problem: str
) -> None:
    write_splits(tmp_path, "toy", **contents)
    with pytest.raises(error) as raised:
        read_given_splits(tmp_path, "toy")
    assert problem in str(raised.value)


def test_unknown_dataset_in_data_dir_names_the_available(tmp_path: Path) -> None:
    write_splits(tmp_path, "toy", train="a,b\n1,x\n")
    with pytest.raises(ConfigError, match=r"data_dir=.*has no dataset 'german'\n.*known: toy"):
        read_given_splits(tmp_path, "german")
    with pytest.raises(ConfigError, match="no such folder"):
        read_given_splits(tmp_path / "nowhere", "toy")


def test_unknown_packaged_table_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"dataset.name=iris(.|\n)*german, diabetes"):
        read_packaged("iris")


def test_an_openml_table_without_its_number_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"dataset.openml=null: is not given"):
        Dataset(name="iris", source="openml", target="class").load(0)


@pytest.mark.parametrize(
    ("name", "rows", "counts"), [("german", 1000, {"0": 700, "1": 300}), ("diabetes", 768, {"0": 500, "1": 268})]
)
def test_packaged_table_has_the_published_counts(name: str, rows: int, counts: dict[str, int]) -> None:
    frame = read_packaged(name)
    assert len(frame) == rows
    assert frame.iloc[:, -1].value_counts().to_dict() == counts


@pytest.mark.parametrize("name", ["german", "diabetes"])
def test_packaged_rows_are_those_of_the_paper(data_dir: Path, name: str) -> None:
    published = []
    for part in ("train", "val", "test"):
        with open(data_dir / name / "raw" / f"{name}_{part}.csv", newline="") as file:
            header, *rows = csv.reader(file)
            published += [tuple(row) for row in rows]
    frame = read_packaged(name)
    assert list(frame.columns) == header
    assert Counter(frame.itertuples(index=False, name=None)) == Counter(published)


def openml_frame(name: str) -> pd.DataFrame:
    """What fetch_openml gives: int64 or float64 numbers, categorical words, NaN where unknown."""
    if name == "abalone":
        sex, rings = pd.Categorical(["M", "F"]), pd.Categorical(["15", "7"])
        numbers = np.array([[0.455, 0.365, 0.095, 0.514, 0.2245, 0.101, 0.15], [0.35, 0.265, 0.09, 0.2255, 0.1, 0, 1]])
        values: list[object] = [sex, *numbers.T, rings]
        return pd.DataFrame(dict(zip(ABALONE_NAMES, values, strict=True)))
    rows: list[list[object]] = [
        [25, "Private", 226802, "11th", 7, "Never-married", "Sales", "Own-child", "Black", "Male"],
        [18, np.nan, 103497, "Some-college", 10, "Never-married", np.nan, "Own-child", "White", "Female"],
    ]
    ends: list[list[object]] = [[0, 0, 40, "United-States", "<=50K"], [0, 0, 30, np.nan, ">50K"]]
    frame = pd.DataFrame([row + end for row, end in zip(rows, ends, strict=True)], columns=ADULT_NAMES)
    words = frame.select_dtypes(object).columns
    return frame.astype(dict.fromkeys(words, "category"))


def openml_texts(name: str) -> pd.DataFrame:
    """The table as conf/dataset has it downloaded."""
    told = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    return download_openml(told["openml"], name, told["target"], told.get("classes"))


@pytest.mark.parametrize(
    ("name", "data_id", "header", "second"),
    [
        (
            "adult",
            1590,
            ADULT_NAMES,
            "18.0,nan,103497.0,Some-college,10.0,Never-married,nan,Own-child,White,Female,0.0,0.0,30.0,nan,1",
        ),
        ("abalone", 183, ABALONE_NAMES, "F,0.35,0.265,0.09,0.2255,0.1,0.0,1.0,7"),
    ],
)
def test_openml_table_comes_in_the_form_of_the_papers_files(
    monkeypatch: pytest.MonkeyPatch, name: str, data_id: int, header: list[str], second: str
) -> None:
    asked = {}

    def fetch(**arguments: object) -> SimpleNamespace:
        asked.update(arguments)
        return SimpleNamespace(frame=openml_frame(name))

    monkeypatch.setattr("sklearn.datasets.fetch_openml", fetch)
    frame = openml_texts(name)
    assert asked["data_id"] == data_id
    assert list(frame.columns) == header
    assert frame.iloc[1].tolist() == second.split(",")
    assert all(type(cell) is str for cell in frame.to_numpy().ravel())


def test_california_comes_in_the_form_of_the_papers_files(monkeypatch: pytest.MonkeyPatch) -> None:
    # The first block group as scikit-learn has it.
    values = [8.3252, 41.0, 6.984126984126984, 1.0238095238095237, 322.0, 2.5555555555555554, 37.88, -122.23, 4.526]
    names = "MedInc HouseAge AveRooms AveBedrms Population AveOccup Latitude Longitude MedHouseVal".split()
    frame = pd.DataFrame([values], columns=names)
    monkeypatch.setattr("sklearn.datasets.fetch_california_housing", lambda **arguments: SimpleNamespace(frame=frame))
    texts = download_california("california")
    assert list(texts.columns) == list(CALIFORNIA.values())
    assert texts.iloc[0].tolist() == "-122.23,37.88,41.0,6.984127,1.0238096,322.0,2.5555556,8.3252,4.526".split(",")


@pytest.mark.parametrize(
    ("function", "name"),
    [
        ("fetch_openml", "adult"),
        ("fetch_openml", "abalone"),
        ("fetch_california_housing", "california"),
    ],
)
def test_no_network_says_how_to_do_without(monkeypatch: pytest.MonkeyPatch, function: str, name: str) -> None:
    def fetch(**arguments: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(f"sklearn.datasets.{function}", fetch)
    download = openml_texts if function == "fetch_openml" else download_california
    with pytest.raises(ConfigError, match=rf"data_dir=null(.|\n)*{name}/raw/{name}_train.csv: data_dir=FOLDER"):
        download(name)


@pytest.mark.network
@pytest.mark.parametrize("name", ["adult", "abalone", "california"])
def test_downloaded_rows_are_those_of_the_paper(data_dir: Path, name: str) -> None:
    published = pd.concat(read_given_splits(data_dir, name))
    frame = download_california(name) if name == "california" else openml_texts(name)
    ours, theirs = (Counter(rows.itertuples(index=False, name=None)) for rows in (frame, published))
    assert list(frame.columns) == list(published.columns)
    assert ours == theirs


def test_import_is_light() -> None:
    import subprocess

    code = "import sys, harmonic.datasets; print([m for m in ('sklearn', 'torch', 'hydra') if m in sys.modules])"
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"
