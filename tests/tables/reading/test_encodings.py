"""Bytes to text: .venv/bin/pytest tests/tables/reading/test_encodings.py."""

from __future__ import annotations

import pytest

from harmonic.tables.reading.dialect_search import read_text

TEXTS = {
    "cp1252": "nom;ville\nHélène;Orléans\nFrançois;Nîmes\nZoé;Besançon\n",
    "cp1250": "imię;miasto\nŁukasz;Łódź\nŻaneta;Kraków\nZdzisław;Gdańsk\n",
    "cp1251": "имя;город\nИван;Москва\nПётр;Казань\n" * 20,
    "cp1253": "όνομα;πόλη\nΓιώργος;Αθήνα\nΕλένη;Πάτρα\n" * 20,
    "gb18030": "姓名;城市\n张伟;北京\n王芳;上海\n" * 20,
    "big5": "姓名;城市\n張偉;台北\n王芳;高雄\n" * 20,
    "cp932": "氏名;住所\n山田太郎;東京都\n鈴木一郎;大阪府\n" * 20,
    "cp949": "이름;도시\n김철수;서울\n이영희;부산\n" * 20,
}


@pytest.mark.parametrize("encoding", TEXTS)
def test_bytes_are_read_in_the_language_that_they_are_in_and_written_back(encoding: str) -> None:
    """Chinese names read as Latin-1 were no names, and came out."""
    header, *rows = TEXTS[encoding].splitlines()
    data = "\n".join([header, *[row for row in rows if row != header], ""]).encode(encoding)
    texts, dialect = read_text(data, "t.csv")
    assert list(texts) == header.split(";") and texts.iloc[0].tolist() == rows[0].split(";")
    assert dialect.write(texts) == data
    assert any("is not UTF-8 and is read as" in note and "dataset.encoding" in note for note in dialect.notes)
