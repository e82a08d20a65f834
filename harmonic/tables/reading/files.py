"""Rows as text, from any source: a CSV or Parquet file, given splits, the package, OpenML or scikit-learn.

Every source gives a frame of str. harmonic.tables.column_types.kinds decides what the columns are. Downloads get the
column names and the number format of the paper's files.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from harmonic.errors import ConfigError, DataError, suggest
from harmonic.tables.dtypes import FrameDtypes
from harmonic.tables.reading.dialect import Dialect
from harmonic.tables.reading.dialect_search import read_text
from harmonic.tables.reading.encodings import unusable
from harmonic.tables.splitting import PARTS

if TYPE_CHECKING:
    import pyarrow as pa

PACKAGED = ("german", "diabetes")
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


def read_csv(
    path: str | Path, *, delimiter: str | None = None, encoding: str | None = None, header: bool | None = None
) -> tuple[pd.DataFrame, Dialect]:
    """Read a CSV file as text, (rows, columns) of str, and how the file writes it.

    `delimiter`, `encoding` and `header` (whether there is one) are found if they are None. Raises ConfigError if the
    file cannot be read, DataError if its content is not a table.
    """
    path = _found(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError("dataset.path", path, f"cannot be read: {error.strerror}", "check its permissions") from error
    return read_text(data, str(path), delimiter=delimiter, encoding=encoding, header=header)


def is_parquet(path: str | Path) -> bool:
    """Whether the file's name says that it is a Parquet file."""
    return Path(path).suffix in (".parquet", ".pq")


def read_parquet(path: str | Path) -> tuple[pd.DataFrame, FrameDtypes]:
    """Read a Parquet file as text, (rows, columns) of str, and the dtypes of its columns.

    Raises ConfigError if the file cannot be read as Parquet, DataError if its content is not a flat table.
    """
    from pyarrow import ArrowException

    path = _found(path)
    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError, ArrowException) as error:
        problem = f"cannot be read as Parquet: {str(error).splitlines()[0]}"
        raise ConfigError("dataset.path", path, problem, "check the file, or export it as CSV") from error
    try:
        dtypes = FrameDtypes.of(frame)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    if not len(frame):
        raise unusable(str(path), "has a header and no rows", "give a table with rows")
    return dtypes.texts(frame), dtypes


def write_parquet(frame: pd.DataFrame, path: str | Path, like: str | Path) -> None:
    """Write a frame with the column types of the Parquet file `like`."""
    write_table(parquet_table(frame, like), path)


def parquet_table(frame: pd.DataFrame, like: str | Path | None = None) -> pa.Table:
    """A frame as a table for a Parquet file, with the column types of the Parquet file `like` if there is one."""
    import pyarrow as pa
    from pyarrow.parquet import read_schema

    if like is None:
        return pa.Table.from_pandas(frame, preserve_index=False)
    schema = read_schema(like)
    fields = [schema.field(name) for name in map(str, frame.columns) if name in schema.names]
    try:
        return pa.Table.from_pandas(frame, pa.schema(fields), preserve_index=False)
    except (pa.ArrowException, OverflowError):  # new identifiers may not fit in a type
        return pa.Table.from_pandas(frame, preserve_index=False)


def write_table(table: pa.Table, path: str | Path, about: Mapping[bytes, bytes] | None = None) -> None:
    """Write a Parquet file. about: what is added to its metadata."""
    from pyarrow import parquet

    parquet.write_table(table.replace_schema_metadata({**(table.schema.metadata or {}), **(about or {})}), path)


def _found(path: str | Path) -> Path:
    path = Path(path).expanduser()
    if path.is_dir():
        raise ConfigError("dataset.path", path, "is a folder", "give the file itself")
    if not path.is_file():
        here = [entry.name for ending in ("csv", "parquet") for entry in path.parent.glob(f"*.{ending}")]
        fix = suggest(path.name, here) if here else f"the folder {path.parent} holds no CSV file; check the path"
        raise ConfigError("dataset.path", path, "no such file", fix)
    return path


def parse_csv(data: bytes, origin: str, *, delimiter: str | None = None, encoding: str | None = None) -> pd.DataFrame:
    """The text table in the bytes of a CSV file; `origin` names it in errors."""
    return read_text(data, origin, delimiter=delimiter, encoding=encoding)[0]


def read_given_splits(data_dir: str | Path, name: str) -> list[pd.DataFrame]:
    """The train, validation and test rows in `<data_dir>/<name>/raw/<name>_{train,val,test}.csv`."""
    root = Path(data_dir).expanduser()
    layout = f"<data_dir>/{name}/raw/{name}_{{train,val,test}}.csv"
    without = "data_dir=null uses the dataset's own source"
    if not root.is_dir():
        raise ConfigError("data_dir", data_dir, "no such folder", f"give the folder that holds {layout}; {without}")
    folder = root / name / "raw"
    if not folder.is_dir():
        there = sorted(entry.parent.name for entry in root.glob("*/raw")) or ["none"]
        fix = f"known: {', '.join(there)}; its files must be {layout}; {without}"
        raise ConfigError("data_dir", data_dir, f"has no dataset {name!r}", fix)
    lacking = [f"{name}_{part}.csv" for part in PARTS if not (folder / f"{name}_{part}.csv").is_file()]
    if lacking:
        raise ConfigError("data_dir", data_dir, f"{name}/raw lacks {', '.join(lacking)}", f"there must be {layout}")
    frames = [read_csv(folder / f"{name}_{part}.csv")[0] for part in PARTS]
    for part, frame in zip(PARTS[1:], frames[1:], strict=True):
        if list(frame.columns) != list(frames[0].columns):
            odd = sorted(set(frame.columns) ^ set(frames[0].columns)) or "the same names in another order"
            raise unusable(f"{folder}/{name}_{part}.csv", f"has other columns than train: {odd}", "use one header")
    return frames


def read_packaged(name: str) -> pd.DataFrame:
    """One of the two tables in the package (harmonic/data/PROVENANCE.md)."""
    if name not in PACKAGED:
        fix = f"packaged: {', '.join(PACKAGED)}; otherwise give dataset.path or data_dir"
        raise ConfigError("dataset.name", name, "is not packaged", fix)
    return parse_csv(
        files("harmonic").joinpath("data", f"{name}.csv").read_bytes(), f"packaged {name}.csv", delimiter=","
    )


def download_openml(
    number: int, name: str, target: str | None = None, classes: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """The table with this number on OpenML; scikit-learn caches it. `name` is for errors.

    Numbers come as floats ('32.0'), as in the paper's files; the `target` does not change, except that `classes` says
    what its values are called here: {"<=50K": "0"}.
    """
    from sklearn.datasets import fetch_openml

    frame = _download(name, "OpenML", fetch_openml, data_id=number)
    typed = {column: _texts(frame[column]) for column in frame.columns}
    if target in typed:
        typed[target] = frame[target].astype(object).astype(str).replace(dict(classes or {}))
    return pd.DataFrame(typed, dtype=object)


BUNDLED = {"breast_cancer": "load_breast_cancer", "wine": "load_wine"}
"""Tables that travel with scikit-learn, and what reads them there."""


def read_scikit_learn(name: str) -> pd.DataFrame:
    """A table that scikit-learn has: california, which it downloads, or one of BUNDLED. Raises ConfigError."""
    if name == "california":
        return download_california(name)
    if name not in BUNDLED:
        raise ConfigError("dataset.name", name, "is no table of scikit-learn", suggest(name, ["california", *BUNDLED]))
    from sklearn import datasets

    bunch = getattr(datasets, BUNDLED[name])(as_frame=True)
    frame: pd.DataFrame = bunch.frame.astype(str).astype(object)
    return frame.assign(target=bunch.target_names[bunch.target].astype(object))


def download_california(name: str) -> pd.DataFrame:
    """California housing (20,640 rows) as scikit-learn gives it; the paper's files round to single precision."""
    from sklearn.datasets import fetch_california_housing

    frame = _download(name, "scikit-learn's server", fetch_california_housing)
    singles = {new: frame[old].to_numpy(np.float32).astype(str).astype(object) for old, new in CALIFORNIA.items()}
    return pd.DataFrame(singles)


def _download(name: str, server: str, fetch: Any, **arguments: Any) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            # The error below says once what scikit-learn warns of at every try.
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
