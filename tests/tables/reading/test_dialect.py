"""How files write tables: .venv/bin/pytest tests/tables/reading/test_dialect.py."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile

import pytest

from harmonic.errors import DataError
from harmonic.tables.reading.dialect import Quoting
from harmonic.tables.reading.dialect_search import find_delimiter, read_text

ROWS = [["1,5", "süd"], ["2,5", "ost"], ["3,25", "west"]]
PLAIN = "zahl;ort\n1,5;süd\n2,5;ost\n3,25;west\n"


def zipped(data: bytes, **names: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in (names or {"t.csv": data}).items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.replace(";", "\t"),
        PLAIN.replace(";", "|"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        "sep=;\n" + PLAIN,
        "Report 2023;\n;\n" + PLAIN,
        "Bericht\n\n" + PLAIN,
        "# made by hand\n" + PLAIN,
        '"zahl";"ort"\n"1,5";"süd"\n"2,5";"ost"\n"3,25";"west"\n',
        '"zahl";"ort"\n1,5;"süd"\n2,5;"ost"\n3,25;"west"\n',  # as R writes
        "zahl; ort\n1,5; süd\n2,5; ost\n3,25; west\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_a_file_is_written_back_to_the_byte(text: str, encoding: str) -> None:
    texts, dialect = read_text(text.encode(encoding), "t.csv")
    assert list(texts) == ["zahl", "ort"]
    assert texts.to_numpy().tolist() == ROWS
    assert dialect.write(texts) == text.encode(encoding)
    assert dialect.read(dialect.write(texts)).to_numpy().tolist() == ROWS


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zipped])
def test_compressed_files_are_opened(pack: object) -> None:
    texts, dialect = read_text(pack(PLAIN.encode()), "t.csv.gz")  # type: ignore[operator]
    assert texts.to_numpy().tolist() == ROWS and dialect.delimiter == ";"
    assert any("compressed" in note for note in dialect.notes)


def test_archives_and_workbooks_say_what_they_are() -> None:
    with pytest.raises(DataError, match=r"Excel workbook(.|\n)*save the sheet as CSV"):
        read_text(zipped(b"", **{"xl/workbook.xml": b"x"}), "t.xlsx")
    with pytest.raises(DataError, match="archive of 2 files"):
        read_text(zipped(b"", a=b"x", b=b"y"), "t.zip")
    with pytest.raises(DataError, match="cannot be decompressed"):
        read_text(gzip.compress(b"abc")[:8], "t.gz")


def test_quotes_escaped_by_backslashes_come_back() -> None:
    text = 'a,b\n1,"say \\"hi\\", you"\n2,x\n'
    texts, dialect = read_text(text.encode(), "t.csv")
    assert texts["b"].tolist() == ['say "hi", you', "x"]
    assert dialect.write(texts).decode() == text


def test_missing_values_without_quotes_among_quoted_texts() -> None:
    text = '"n","t"\n1,"x"\n2,NA\nNA,"y"\n'
    texts, dialect = read_text(text.encode(), "t.csv")
    assert dialect.quoting is Quoting.GIVEN_TEXT and dialect.write(texts).decode() == text


def test_a_column_without_a_name_keeps_none() -> None:
    text = ",a\n0,x\n1,y\n"
    texts, dialect = read_text(text.encode(), "t.csv")
    assert list(texts) == ["Unnamed: 0", "a"]
    assert dialect.write(texts).decode() == text
    assert list(dialect.read(text.encode())) == ["Unnamed: 0", "a"]


def test_lines_that_are_no_rows_are_left_out_and_said_so() -> None:
    text = "a,b,c\n1,2,x\n3,4,y\n,,\n,,\nTotal,6,\n"
    texts, dialect = read_text(text.encode(), "t.csv")
    assert texts["a"].tolist() == ["1", "3"]
    assert any("2 rows without any value" in note for note in dialect.notes)
    assert any("is a total" in note for note in dialect.notes)
    texts, dialect = read_text(b"a,b,c\n1,2,x\n3,4,y\nSource: the office\n", "t.csv")
    assert len(texts) == 2 and any("below the table" in note for note in dialect.notes)


def test_blanks_stay_where_they_tell_texts_apart() -> None:
    text = '"a","b"\n"x ","1"\n" x","2"\n"x","3"\n'
    texts, dialect = read_text(text.encode(), "t.csv")
    assert texts["a"].tolist() == ["x ", " x", "x"]
    assert dialect.write(texts).decode() == text
    assert read_text(b"a , b\n1 , x\n2 , y\n", "t.csv")[0].to_numpy().tolist() == [["1", "x"], ["2", "y"]]


def test_two_readings_of_a_delimiter_are_told() -> None:
    mark, notes = find_delimiter("a,b;c\n1,5;x\n2,5;y\n")
    assert mark == ";" and "dataset.delimiter=','" in notes[0]
    assert find_delimiter("a;b\n1,5;x\n2;y\n") == (";", [])


def test_bytes_that_are_not_utf_8_are_read_as_windows_writes_them() -> None:
    texts, dialect = read_text("a,b\n1,süd €\n2,x\n".encode("cp1252"), "t.csv")
    assert texts["b"][0] == "süd €" and any("read as cp1252" in note for note in dialect.notes)


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf", b"\xff\xfe", b"\xff\xfe\x0b\x00", b" \n", b"\x0b"])
def test_a_mark_and_blanks_are_an_empty_file(data: bytes) -> None:
    with pytest.raises(DataError, match="is empty"):
        read_text(data, "t.csv")


def test_one_column_is_no_table() -> None:
    with pytest.raises(DataError, match=r"one column has nothing to learn(.|\n)*two columns"):
        read_text(b"v\n4.47\n5.40\n", "t.csv")


def test_single_quotes_are_quotes_where_the_whole_header_is_in_them() -> None:
    text = "'a','b'\n'x, y','it''s'\n'z','w'\n"
    texts, dialect = read_text(text.encode(), "t.csv")
    assert list(texts) == ["a", "b"] and texts.to_numpy().tolist() == [["x, y", "it's"], ["z", "w"]]
    assert dialect.quote == "'" and dialect.read(dialect.write(texts)).equals(texts)
    assert list(read_text(b"'a',b\n1,'x'\n2,y\n", "t.csv")[0]) == ["'a'", "b"]
