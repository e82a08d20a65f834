"""Rows in few tokens: what is written, what is not, and that nothing is lost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import mutual_info_score

from harmonic.evaluation.llm_effectiveness.short_rows import ShortRows, letters
from harmonic.tables.table import Column, Kind, Schema, Table, Task


def table(frame: pd.DataFrame, **missing: str) -> Table:
    columns = []
    for name in frame:
        gap = {"missing": missing.get(name)}
        if frame[name].dtype == object:
            known = tuple(sorted(set(frame[name].dropna())))
            columns.append(Column(name=name, kind=Kind.CATEGORY, categories=known, **gap))
        else:
            columns.append(Column(name=name, kind=Kind.FLOAT, decimals=2, **gap))
    schema = Schema(columns=tuple(columns), target=frame.columns[-1], task=Task.BINARY, description="rows")
    return Table(schema.conform(frame), schema)


def mixed() -> Table:
    """A number of many values, one of three, a category with a usual value, and the label."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"size": rng.permutation(1000) / 10, "rooms": rng.choice([1.0, 2.0, 3.0], 1000, p=[0.2, 0.6, 0.2])}
    )
    frame["street name"] = rng.choice(np.array(["a", "b", "c"], dtype=object), 1000, p=[0.1, 0.1, 0.8])
    return table(frame.assign(label=rng.choice(np.array(["no", "yes"], dtype=object), 1000)))


def test_only_what_is_not_usual_is_written():
    short = ShortRows.of(mixed())
    rows = pd.DataFrame({"size": [0.0, 50.0, 99.9, 45.0], "rooms": [1.0, 2.0, 3.0, 2.0]})
    rows["street name"] = ["c", "a", "b", "c"]
    assert short.header == "A size, B rooms, C street name"
    assert short.lines(rows) == ["A0 B0", "C0", "A4 B2 C1", "-"]


def test_fifths_are_those_of_the_training_rows():
    made = mixed()
    short = ShortRows.of(made)
    codes = pd.Series(short.lines(made.frame)).str.extract(r"A(\d)")[0].fillna("2").astype(int)
    expected = pd.qcut(made.frame["size"], 5, labels=False)
    assert (codes == expected).all()
    assert short.lines(made.frame.iloc[[0]].assign(size=1e9)) == short.lines(made.frame.iloc[[0]].assign(size=99.0))


def test_a_row_tells_everything_but_where_in_its_fifth_a_number_lies():
    made = mixed()
    lines = pd.Series(ShortRows.of(made).lines(made.frame))
    told = made.frame.assign(size=pd.qcut(made.frame["size"], 5, labels=False)).drop(columns="label")
    known = told.astype(str).agg("|".join, axis=1)
    assert pd.crosstab(lines, known).gt(0).sum(axis=1).eq(1).all()  # one line, one row
    assert pd.crosstab(known, lines).gt(0).sum(axis=1).eq(1).all()


def test_the_features_that_tell_most_are_kept_in_their_order_and_many_values_are_no_merit():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"noise": rng.random(300), "sign": rng.integers(0, 2, 300), "weak": rng.random(300)})
    frame["town"] = np.array([f"town {place:03d}" for place in rng.integers(0, 150, 300)], dtype=object)
    signs = np.where(rng.random(300) < 0.9, frame["sign"], 1 - frame["sign"])
    frame["label"] = np.where(signs + frame["weak"] > 0.8, "yes", "no").astype(object)
    made = table(frame.astype({"sign": float}))
    short, targets = ShortRows.of(made), (made.frame["label"] == "yes").to_numpy(np.int64)
    assert [each.name for each in short.most_telling(made.frame, targets, 2).features] == ["sign", "weak"]
    codes = pd.factorize(made.frame["town"])[0]
    assert mutual_info_score(targets, codes) > mutual_info_score(targets, made.frame["sign"])  # of chance alone
    assert short.most_telling(made.frame, targets, 2).header == "A sign, B weak"
    assert short.most_telling(made.frame, targets, 4) is short


def test_gaps_are_marked_and_a_column_of_gaps_has_no_usual_value():
    frame = pd.DataFrame(
        {"x": [1.0, np.nan, 2.0], "none": [np.nan] * 3, "label": np.array(["a", "b", "a"], dtype=object)}
    )
    frame.insert(2, "town", np.array(["rome", None, "rome"], dtype=object))
    made = table(frame, x="", none="NA", town="?")
    assert ShortRows.of(made).lines(made.frame) == ["B?", "A? B? C?", "A1 B?"]


def test_more_categories_than_ten_take_as_many_digits_each():
    towns = np.array([f"town {number:02d}" for number in range(12)] * 2 + ["town 03"], dtype=object)
    made = table(pd.DataFrame({"town": towns, "label": np.array(["a", "b"] * 12 + ["a"], dtype=object)}))
    assert ShortRows.of(made).lines(made.frame.iloc[:12])[:5] == ["A00", "A01", "A02", "-", "A04"]
    assert ShortRows.of(made).lines(made.frame.iloc[11:12]) == ["A11"]


def test_letters_go_on_like_the_columns_of_a_spreadsheet():
    found = letters(703)
    assert found[:3] == ["A", "B", "C"] and found[25:28] == ["Z", "AA", "AB"] and found[701:] == ["ZZ", "AAA"]
    assert len(set(found)) == 703


def test_a_name_with_line_breaks_stays_on_one_line():
    made = table(pd.DataFrame({"a\nb": [1.0, 2.0], "label": np.array(["a", "b"], dtype=object)}))
    assert ShortRows.of(made).header == "A a b"
