"""What stands around the rows of a file: .venv/bin/pytest tests/tables/reading/test_header.py."""

from __future__ import annotations

import random

import pytest

from harmonic.errors import DataError
from harmonic.tables.reading.dialect_search import read_text

SPIN = random.Random(0)
ROWS = [
    [f"{SPIN.uniform(0, 9):.3f}", str(SPIN.randint(5, 99)), SPIN.choice("xy"), f"2021-0{n % 9 + 1}-1{n % 9}"]
    for n in range(30)
]
BODY = "".join(",".join(row) + "\n" for row in ROWS)
HEADER = "size,age,kind,day\n"


def test_labels_below_the_header_are_no_rows_and_are_written_back() -> None:
    """A row of units made every number column one that is not understood."""
    for labels in ("m,years,-,d\n", "How large?,How old?,Which?,When?\n{id: 1},{id: 2},{id: 3},{id: 4}\n"):
        data = (HEADER + labels + BODY).encode()
        texts, dialect = read_text(data, "t.csv")
        assert texts.to_numpy().tolist() == ROWS and dialect.below == labels
        assert dialect.write(texts) == data
        assert dialect.read(data).to_numpy().tolist() == ROWS
        assert any("below the header" in note for note in dialect.notes)


@pytest.mark.parametrize(
    "first",
    ["?,n/a,x,2021-01-10\n", "1.5,unknown,x,2021-01-10\n", "about 5,7,x,2021-01-10\n", "NA,NA,z,2021-01-10\n"],
)
def test_a_row_with_odd_cells_is_no_label(first: str) -> None:
    texts, dialect = read_text((HEADER + first + BODY).encode(), "t.csv")
    assert len(texts) == 31 and not dialect.below


def test_a_header_that_comes_again_is_left_out() -> None:
    texts, dialect = read_text((HEADER + BODY + HEADER + BODY).encode(), "t.csv")
    assert texts.to_numpy().tolist() == ROWS + ROWS
    assert any("repeat the header" in note for note in dialect.notes)


def test_a_file_without_a_header_loses_no_row_and_has_none_again() -> None:
    texts, dialect = read_text(BODY.encode(), "t.csv")
    assert list(texts) == ["column_1", "column_2", "column_3", "column_4"] and texts.to_numpy().tolist() == ROWS
    assert dialect.write(texts) == BODY.encode()
    assert dialect.read(BODY.encode()).equals(texts)
    assert any("dataset.header=true" in note for note in dialect.notes)
    assert list(read_text(BODY.encode(), "t.csv", header=True)[0]) == ROWS[0]


@pytest.mark.parametrize(
    "header",
    [
        HEADER, "2019,2020,kind,day\n", "0,1,2,3\n", "1,2,3,4\n", "size,5,x,2021-01-10\n", "a,b,x,y\n",
    ],
)  # fmt: skip
def test_names_are_a_header_whatever_they_are(header: str) -> None:
    texts, dialect = read_text((header + BODY).encode(), "t.csv")
    assert list(texts) == header.strip().split(",") and not dialect.headless


def test_a_header_can_be_denied() -> None:
    texts, dialect = read_text((HEADER + BODY).encode(), "t.csv", header=False)
    assert texts.iloc[0].tolist() == ["size", "age", "kind", "day"] and dialect.headless


@pytest.mark.parametrize(
    ("titles", "kept"),
    [
        ("Sales 2023\n", True),
        ("# made by hand\n# on 2023-01-05\n", True),
        ("Account,DE12 5001 0517 0648 4898 90\nPeriod,2023\n\n", False),
        ("Statement of anna@mail.org\n", False),
        ("Account 12345678901\n", False),
    ],
)
def test_titles_are_read_and_those_that_may_name_someone_are_not_written_again(titles: str, kept: bool) -> None:
    data = (titles + HEADER + BODY).encode()
    texts, dialect = read_text(data, "t.csv")
    assert texts.to_numpy().tolist() == ROWS
    assert dialect.write(texts) == (data if kept else (HEADER + BODY).encode())
    assert any("above the header" in note for note in dialect.notes)


def test_a_header_short_of_row_names_is_read_and_written_so() -> None:
    """As R's write.table writes it: it was an error about quotes."""
    rows = enumerate(ROWS, 1)
    body = "".join(f'"{n}",{size},{age},"{kind}","{day}"\n' for n, (size, age, kind, day) in rows)
    data = ('"size","age","kind","day"\n' + body).encode()
    texts, dialect = read_text(data, "t.csv")
    assert list(texts) == ["Unnamed: 0", "size", "age", "kind", "day"]
    assert texts[["size", "age", "kind", "day"]].to_numpy().tolist() == ROWS
    assert dialect.read(dialect.write(texts)).equals(texts) and dialect.write(texts) == data
    assert any("lacks the first column" in note for note in dialect.notes)


@pytest.mark.parametrize("first", [["1", "4", "2", "3"] * 10, ["5"] * 40, ["0.5", "1.5"] * 20])
def test_rows_that_are_longer_than_the_header_for_no_known_reason_are_refused(first: list[str]) -> None:
    data = "a,b\n" + "".join(f"{one},2,3\n" for one in first)
    with pytest.raises(DataError, match="line 2 has 3 fields, the header has 2"):
        read_text(data.encode(), "t.csv")
