"""Files in formats and dialects drawn at random: text to table to text is exact, and no identifier comes out.

.venv/bin/pytest tests/tables/reading/test_round_trip.py               some files
.venv/bin/pytest tests/tables/reading/test_round_trip.py -m slow -s    2,000 of them, and as many data frames
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable

import pandas as pd
import pytest
from drawn_files import TOLD, DrawnFile, drawn_file
from drawn_frames import drawn_frame

from harmonic.datasets import Dataset
from harmonic.errors import DataError
from harmonic.tables.column_types.role import Role
from harmonic.tables.dtypes import FrameDtypes
from harmonic.tables.reading.dialect import Dialect
from harmonic.tables.reading.dialect_search import read_text

OUTCOMES: Counter[str] = Counter()


def survives(file: DrawnFile) -> None:
    """Text to table to text is exact; so are the bytes; no identifier comes out; what is ambiguous is told."""
    texts, dialect = read_text(file.data, "t.csv")
    columns = file.columns
    assert {name: texts[name].tolist() for name in texts} == columns
    for said in file.says:
        assert any(said in note for note in dialect.notes), (said, dialect.notes)
    # csv quotes other cells than the rest of the world where lines end
    if file.exact and '"two' not in file.data.decode(dialect.encoding):
        assert dialect.write(texts) == file.data
    assert back(dialect, dialect.write(texts)) == columns
    try:
        table, layout, kept, notes = Dataset(name="t", missing="keep").typed(texts, dialect)
    except DataError as error:
        assert "no column is left" in str(error), error
        OUTCOMES["nothing to learn"] += 1
        return
    assert kept.all()
    released = layout.release(table.texts(), 0)
    several = {name: {text for text, _ in texts} for name, texts in layout.markers if len(texts) > 1}
    for name in table.schema.names:
        pairs = zip(released[name], columns[name], strict=True)
        differ = [(new, old) for new, old in pairs if new != old and not {new, old} <= several.get(name, set())]
        assert not differ, (name, differ[:3])
    for name in file.people & set(released):
        shown = set(released[name]) & set(columns[name]) - file.markers
        assert not shown, (name, sorted(shown)[:3], layout.findings[name])
        assert layout.findings[name].role in (Role.IDENTIFIER, Role.UNCLEAR, Role.TEXT), layout.findings[name]
    for name, kind in file.kinds.items():
        assert name not in released or layout.findings[name].role is not Role.IDENTIFIER, layout.findings[name]
        if kind in TOLD:
            assert any(repr(name) in note and TOLD[kind] in note for note in notes), (name, notes)
    pd.testing.assert_frame_equal(layout.plain(dialect.read(dialect.write(released))), table.texts())
    OUTCOMES["exact"] += 1
    OUTCOMES["columns learnt"] += len(table.schema.names)
    OUTCOMES["columns kept aside"] += len(layout.asides)


def back(dialect: Dialect, data: bytes) -> dict[str, list[str]]:
    frame: pd.DataFrame = dialect.read(data)
    return {name: frame[name].tolist() for name in frame}


def frame_survives(frame: pd.DataFrame, people: set[str]) -> None:
    """A frame's dtypes and values come back, from memory and from Parquet; no identifier does."""
    dtypes = FrameDtypes.of(frame)
    texts = dtypes.texts(frame)
    try:
        table, layout, kept, _ = Dataset(name="t", missing="keep").typed(texts, dtypes)
    except DataError as error:
        assert "no column is left" in str(error), error
        OUTCOMES["nothing to learn"] += 1
        return
    rows = frame[kept].reset_index(drop=True)
    again = dtypes.frame(layout.release(table.texts(), 0))
    for name in frame:
        assert again[name].dtype == frame[name].dtype, name
        if str(name) in table.schema.names:
            pd.testing.assert_series_equal(again[name], rows[name])
            assert again[name].map(type).tolist() == rows[name].map(type).tolist(), name
        elif name in people:
            assert not set(again[name].dropna()) & set(rows[name].dropna()), name
    OUTCOMES["exact"] += 1


def in_parquet(frame: pd.DataFrame) -> pd.DataFrame:
    """What Parquet gives back: not every dtype of pandas has one there."""
    packed = io.BytesIO()
    frame.to_parquet(packed)
    return pd.read_parquet(packed)


def explore(check: Callable[[int], None], first: int, examples: int) -> None:
    """Try so many seeds; every failure names its own."""
    OUTCOMES.clear()
    for seed in range(first, first + examples):
        try:
            check(seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}") from error
    told = ", ".join(f"{name} {count:,}" for name, count in OUTCOMES.items())
    print(f"{examples:,} drawn from seed {first} on: {told}")
    assert OUTCOMES["exact"] > 0.9 * examples, OUTCOMES


def check_file(seed: int) -> None:
    survives(drawn_file(seed))


def check_frame(seed: int) -> None:
    frame, people = drawn_frame(seed)
    frame_survives(frame, people)
    frame_survives(in_parquet(frame), people)


def test_files_come_back_exactly_and_no_identifier_does() -> None:
    explore(check_file, 0, 80)


def test_frames_come_back_with_their_dtypes_and_no_identifier_does() -> None:
    explore(check_frame, 0, 20)


@pytest.mark.slow
def test_two_thousand_files_come_back_exactly_and_no_identifier_does() -> None:
    explore(check_file, 0, 2000)


@pytest.mark.slow
def test_two_thousand_frames_come_back_with_their_dtypes_and_no_identifier_does() -> None:
    explore(check_frame, 0, 1000)
