"""Files that people really have, each in the shape that users of such tools report as broken.

HARMONIC_CASES_DIR=<folder> .venv/bin/pytest tests/tables/test_cases.py    the files themselves, which are not the
project's

The same kinds with data made in the test: tests/tables/{column_types,reading,spellings}.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from harmonic.datasets import Dataset
from harmonic.errors import DataError
from harmonic.tables.splits import Splits

IDENTIFIER, DATE, NUMBERS, CATEGORY = "identifier", "date", ("integer", "float"), "category"
FILES: dict[str, tuple[str, dict[str, object]]] = {
    "01_excel_eu.csv": ("churn", {"Gehalt": "float", "Quote": "float", "Alter": "integer"}),
    "03_currency.csv": ("churn", {"salary": "float", "score": "float", "views": "integer"}),
    "04_question_mark.csv": ("churn", {"price": "integer", "width": "float"}),
    "06_dates.csv": ("churn", dict.fromkeys(
        ["created_ms", "local_offset", "us_ampm", "monthname", "yyyymmdd", "period_dmy"], DATE
    )),
    "06c_first_of_month.csv": ("churn", {"period": DATE}),
    "07_ids.csv": ("churn", dict.fromkeys(["customer_id", "card", "phone", "patient_no"], IDENTIFIER)),
    "09_missing.csv": ("churn", {"kids": "integer", "continent": CATEGORY, "masonry": CATEGORY}),
    "10_sentinel.csv": ("churn", {"pulse": "integer"}),
    "11_codes.csv": ("churn", {"ward": CATEGORY, "smoker": CATEGORY}),
    "12_names.csv": ("will churn?", {"a,b": "integer"}),
    "17_text_cells.csv": ("churn", {"work": CATEGORY, "age": "integer"}),
    "18e_trailing_rows.csv": ("churn", {"age": "integer"}),
    "18f_sep.csv": ("churn", {"age": "integer"}),
    "18g_unnamed.csv": ("churn", {"Unnamed: 0": IDENTIFIER}),
    "18i_tab.tsv": ("churn", {"age": "integer"}),
    "18j.csv.gz": ("churn", {"age": "integer"}),
    "30_types.parquet": ("y", {"zip": CATEGORY, "amount": "float", "day": DATE, "stamp": DATE, "wait": "integer"}),
    "41_sql_null.csv": ("churn", {"score": "integer", "income": "integer"}),
    "43_iban_uuid.csv": ("churn", {"uuid": IDENTIFIER, "passport": IDENTIFIER}),
    "44_preamble.csv": ("churn", {"age": "integer"}),
    "46_total_row.csv": ("churn", {"sales": "integer"}),
    "48_hhmm.csv": ("churn", {"start": DATE, "mmss": DATE}),
    "50_visits.csv": ("readmitted", dict.fromkeys(["patient_id", "email", "ssn", "member_id"], IDENTIFIER)),
    "53_dup_names.csv": ("y", {"code": CATEGORY}),
    "plain.csv": ("churn", {"age": "integer", "region": CATEGORY}),
}  # fmt: skip
WORDS = {  # what the notes must say
    "01_excel_eu.csv": "cp1252", "04_question_mark.csv": "'N/A'", "06c_first_of_month.csv": "dataset.dates=monthfirst",
    "10_sentinel.csv": "'-999'", "11_codes.csv": "taken for codes",
    "18e_trailing_rows.csv": "40 rows without any value",
    "18j.csv.gz": "compressed", "44_preamble.csv": "above the header", "46_total_row.csv": "is a total",
    "50_visits.csv": "taken as independent", "53_dup_names.csv": "'1E3'", "09_missing.csv": "several texts",
}  # fmt: skip


@pytest.fixture
def cases() -> Path:
    folder = os.environ.get("HARMONIC_CASES_DIR")
    if not folder:
        pytest.skip("HARMONIC_CASES_DIR is not set")
    return Path(folder)


def loaded(path: Path, target: str) -> Splits:
    return Dataset(name="csv", path=str(path), target=target, missing="keep").load(0)


@pytest.mark.parametrize("name", FILES)
def test_every_column_is_what_it_means_and_comes_back_alike(cases: Path, name: str) -> None:
    target, wanted = FILES[name]
    splits = loaded(cases / name, target)
    assert splits.layout is not None
    found = {column.name: "date" if column.is_date else str(column.kind) for column in splits.schema.columns}
    found |= {aside.name: str(aside.role) for aside in splits.layout.asides}
    assert {column: found[column] for column in wanted} == wanted
    assert WORDS.get(name, "") in "\n".join(splits.notes)
    parts = [part.texts() for part in (splits.train, splits.val, splits.test)]
    released = splits.layout.release(pd.concat(parts, ignore_index=True), 0)
    for aside in splits.layout.asides:
        if aside.role == IDENTIFIER:
            assert not set(released[aside.name]) & splits.layout.guarded[aside.name]
    if splits.layout.dialect is not None and name not in ("48_hhmm.csv",):  # 0:45 AM comes back as 12:45 AM
        again = splits.layout.dialect.read(splits.layout.dialect.write(released))
        original = {text for column in splits.schema.names for text in released[column]}
        assert {text for column in splits.schema.names for text in again[column]} == original
    if splits.layout.dtypes is not None:
        frame = splits.layout.dtypes.frame(released)
        assert frame.dtypes.to_dict() == pd.read_parquet(cases / name).dtypes.to_dict()


def test_one_column_is_refused_with_the_true_cause(cases: Path) -> None:
    with pytest.raises(DataError, match="one column has nothing to learn"):
        loaded(cases / "18c_single.csv", "v")
