"""Rows as text, from wherever they are: a CSV file, given splits, the package, OpenML or scikit-learn.

Every source gives a frame whose cells are all str, stripped of surrounding blanks; harmonic/tables/typing.py
decides what the columns are. The downloads come out in the names and the number format of the paper's files.
"""

from __future__ import annotations

import csv
import warnings
from http.client import HTTPException
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harmonic.errors import ConfigError, DataError, suggest
from harmonic.tables.dtypes import to_texts
from harmonic.tables.splitting import PARTS

DELIMITERS = {  # what else a header may be split by, as it is typed on the command line
    ";": "\"dataset.delimiter=';'\"",
    "\t": "dataset.delimiter=tab",
    "|": "'dataset.delimiter=|'",
    ",": "\"dataset.delimiter=','\"",
}
PACKAGED = ("german", "diabetes")
OPENML = {"adult": 1590, "abalone": 183}  # the one version that has the paper's rows
ADULT_CLASSES = {"<=50K": "0", ">50K": "1"}
CALIFORNIA = {  # scikit-learn's names to those of the paper's files, in the files' order
    "Longitude": "longitude",
    "Latitude": "latitude",
    "HouseAge": "housing_median_age",
    "AveRooms": "total_rooms",
    "AveBedrms": "total_bedrooms",
    "Population": "population",
    "AveOccup": "households",
    "MedInc": "median_income",
    "MedHouseVal": "median_house_value",
}


def read_csv(path: str | Path, *, delimiter: str = ",", encoding: str = "utf-8-sig") -> pd.DataFrame:
    """Read a CSV file with a header as text, (rows, columns) of str.

    Raises ConfigError when the path is no readable file, DataError when its content is no table.
    """
    path = _found(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError("dataset.path", path, f"cannot be read: {error.strerror}", "check its permissions") from error
    return parse_csv(data, str(path), delimiter=delimiter, encoding=encoding)


def is_parquet(path: str | Path) -> bool:
    """Whether the file's name says that it is a Parquet file."""
    return Path(path).suffix in (".parquet", ".pq")


def parquet_dtypes(path: str | Path) -> pd.DataFrame:
    """A frame with the file's columns and dtypes, and no rows."""
    return pd.read_parquet(_found(path)).iloc[:0]  # not from its schema, which does not know a column's categories


def read_parquet(path: str | Path) -> pd.DataFrame:
    """Read a Parquet file as text, (rows, columns) of str, as `harmonic.tables.dtypes.to_texts` writes values.

    Raises ConfigError when the path is no readable Parquet file, DataError when its content is no flat table.
    """
    from pyarrow import ArrowException

    path = _found(path)
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError, ArrowException) as error:
        problem = f"cannot be read as Parquet: {str(error).splitlines()[0]}"
        raise ConfigError("dataset.path", path, problem, "check the file, or export it as CSV") from error
    try:
        texts = to_texts(frame)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    if not len(texts):
        raise _unusable(str(path), "a header and no rows", "give a table with rows")
    return texts


def _found(path: str | Path) -> Path:
    path = Path(path).expanduser()
    if path.is_dir():
        raise ConfigError("dataset.path", path, "is a folder", "give the file itself")
    if not path.is_file():
        here = [entry.name for ending in ("csv", "parquet") for entry in path.parent.glob(f"*.{ending}")]
        fix = suggest(path.name, here) if here else f"the folder {path.parent} holds no CSV file; check the path"
        raise ConfigError("dataset.path", path, "no such file", fix)
    return path


def parse_csv(data: bytes, origin: str, *, delimiter: str = ",", encoding: str = "utf-8-sig") -> pd.DataFrame:
    """The text table in the bytes of a CSV file; `origin` names it in errors.

    Written on the csv module, because pandas fills short lines, and takes long ones for an index, in silence.
    """
    text = _decode(data, origin, encoding)
    mark = "\t" if delimiter in ("tab", "\\t") else delimiter
    try:
        reader = csv.reader(StringIO(text, newline=""), delimiter=mark, skipinitialspace=True, strict=True)
    except (TypeError, ValueError) as error:
        fix = "give one character, or tab"
        raise ConfigError("dataset.delimiter", repr(delimiter), str(error), fix) from error
    rows: list[list[str]] = []
    try:
        header = [name.strip() for name in next((row for row in reader if row), [])]
        _check_header(header, origin, text)
        for row in reader:
            if len(row) != len(header) and row:
                problem = f"line {reader.line_num} has {len(row)} fields, the header has {len(header)}"
                raise _unusable(origin, problem, "quote fields that hold the delimiter; complete the short lines")
            if row:
                rows.append(row)
    except csv.Error as error:
        raise _unusable(origin, f"line {reader.line_num} is not CSV: {error}", "check its quotes") from error
    if not rows:
        raise _unusable(origin, "a header and no rows", "give a table with rows")
    columns = [np.array(list(map(str.strip, column)), dtype=object) for column in zip(*rows, strict=True)]
    return pd.DataFrame(dict(zip(header, columns, strict=True)))


def _unusable(origin: str, problem: str, fix: str) -> DataError:
    return DataError(f"{origin}: {problem}\n  fix: {fix}")


def _decode(data: bytes, origin: str, encoding: str) -> str:
    if not data.strip():
        raise _unusable(origin, "is empty", "give a CSV file with a header and rows")
    try:
        text = data.decode(encoding)
    except LookupError as error:
        raise ConfigError("dataset.encoding", encoding, "unknown encoding", "utf-8, latin-1, utf-16 ...") from error
    except UnicodeDecodeError as error:
        if b"\0" not in data:
            byte = f"byte 0x{data[error.start]:02x} at position {error.start}"
            fix = "save it as UTF-8, or name its encoding: dataset.encoding=latin-1"
            raise _unusable(origin, f"is not {encoding} text ({byte})", fix) from error
        text = "\0"
    if "\0" in text:
        fix = "export the table as CSV; if it is text in UTF-16: dataset.encoding=utf-16"
        raise _unusable(origin, "is a binary file, not CSV", fix)
    return text


def _check_header(header: list[str], origin: str, text: str) -> None:
    if len(header) < 2:
        other = next((words for mark, words in DELIMITERS.items() if mark in text.lstrip().splitlines()[0]), None)
        fix = other or "give a table with a header, features and a target"
        raise _unusable(origin, "the first line names one column only", fix)
    if "" in header:
        fix = "name it; if it is the index that pandas wrote, write the file with index=False"
        raise _unusable(origin, f"column {header.index('') + 1} has no name", fix)
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise _unusable(origin, f"column names must be unique; more than once: {twice}", "rename them in the file")


def read_given_splits(data_dir: str | Path, name: str) -> list[pd.DataFrame]:
    """The train, validation and test rows in `<data_dir>/<name>/raw/<name>_{train,val,test}.csv`."""
    root = Path(data_dir).expanduser()
    layout = f"<data_dir>/{name}/raw/{name}_{{train,val,test}}.csv"
    without = "data_dir=null takes the dataset's own source"
    if not root.is_dir():
        raise ConfigError("data_dir", data_dir, "no such folder", f"give the folder that holds {layout}; {without}")
    folder = root / name / "raw"
    if not folder.is_dir():
        there = sorted(entry.parent.name for entry in root.glob("*/raw")) or ["none"]
        fix = f"available: {', '.join(there)}; the layout is {layout}; {without}"
        raise ConfigError("data_dir", data_dir, f"has no dataset {name!r}", fix)
    lacking = [f"{name}_{part}.csv" for part in PARTS if not (folder / f"{name}_{part}.csv").is_file()]
    if lacking:
        raise ConfigError("data_dir", data_dir, f"{name}/raw lacks {', '.join(lacking)}", f"the layout is {layout}")
    frames = [read_csv(folder / f"{name}_{part}.csv") for part in PARTS]
    for part, frame in zip(PARTS[1:], frames[1:], strict=True):
        if list(frame.columns) != list(frames[0].columns):
            odd = sorted(set(frame.columns) ^ set(frames[0].columns)) or "the same names in another order"
            raise _unusable(f"{folder}/{name}_{part}.csv", f"other columns than train: {odd}", "use one header")
    return frames


def read_packaged(name: str) -> pd.DataFrame:
    """One of the two tables that travel with the package (harmonic/data/PROVENANCE.md)."""
    if name not in PACKAGED:
        fix = f"packaged: {', '.join(PACKAGED)}; otherwise give dataset.path or data_dir"
        raise ConfigError("dataset.name", name, "is not packaged", fix)
    return parse_csv(files("harmonic").joinpath("data", f"{name}.csv").read_bytes(), f"packaged {name}.csv")


def download_openml(name: str) -> pd.DataFrame:
    """Adult (48,842 rows) or Abalone (4,177 rows) from OpenML, cached by scikit-learn after the first time."""
    from sklearn.datasets import fetch_openml

    if name not in OPENML:
        fix = f"from OpenML: {', '.join(OPENML)}; otherwise give dataset.path or data_dir"
        raise ConfigError("dataset.name", name, "is not one of the OpenML tables", fix)
    frame = _download(name, "OpenML", fetch_openml, data_id=OPENML[name])
    *features, target = frame.columns
    typed = {column: _texts(frame[column]) for column in features}
    # The paper's files number Adult's classes and leave Abalone's rings as they are: integers.
    typed[target] = frame[target].astype(object).astype(str).replace(ADULT_CLASSES if name == "adult" else {})
    return pd.DataFrame(typed, dtype=object)


def download_california(name: str) -> pd.DataFrame:
    """California housing (20,640 rows) as scikit-learn gives it; the paper's files round to single precision."""
    from sklearn.datasets import fetch_california_housing

    frame = _download(name, "scikit-learn's server", fetch_california_housing)
    singles = {new: frame[old].to_numpy(np.float32).astype(str).astype(object) for old, new in CALIFORNIA.items()}
    return pd.DataFrame(singles)


def _download(name: str, server: str, fetch: Any, **arguments: Any) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            # What scikit-learn warns of while it tries again, the error below says once.
            warnings.filterwarnings("ignore", message="A network error occurred|Retry downloading")
            frame: pd.DataFrame = fetch(as_frame=True, n_retries=1, **arguments).frame
    except (OSError, ValueError, HTTPException) as error:
        raise ConfigError(
            "data_dir",
            "null",
            f"dataset {name} is downloaded from {server}, and that failed: {error}",
            f"connect to the network, or give the folder with {name}/raw/{name}_train.csv: data_dir=FOLDER, "
            "or one CSV file: dataset.path=FILE.csv",
        ) from error
    return frame


def _texts(values: pd.Series) -> pd.Series:
    """Numbers as floats ('32.0') and missing categories as 'nan', as in the paper's files."""
    if pd.api.types.is_numeric_dtype(values.dtype):
        return values.astype("float64").map(str)
    return values.astype(object).where(values.notna(), "nan").astype(str).str.strip()
