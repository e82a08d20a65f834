"""Collecting rows: what is kept, what is counted, and what a second run takes from the log."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from harmonic.decoding.batch_log import BatchLog
from harmonic.decoding.row_collector import Answers, RowCollector
from harmonic.progress import Progress


def collector(folder: Path, n: int = 3, identity: str = "same") -> RowCollector:
    return RowCollector(n, BatchLog(folder / "progress.jsonl", identity, {}), Progress("sample", n, "rows"))


def batch() -> Answers:
    rejected = Counter({("missing_column", "age"): 2, ("missing_column", "dose"): 1, ("too_long", ""): 1})
    return Answers({4: {"age": 4, "dose": 0.5}, 1: {"age": 1, "dose": None}}, rejected, tokens=70, cut=1)


def test_rows_come_in_the_order_of_their_numbers_and_reasons_are_counted(tmp_path: Path) -> None:
    found = collector(tmp_path)
    found.batch("first", range(6), batch)
    assert not found.complete and found.answers == 6
    expected = pd.DataFrame({"age": [1, 4], "dose": [None, 0.5]})
    pd.testing.assert_frame_equal(found.frame(["age", "dose"]), expected)
    assert found.rejections() == {"rejected/missing_column": 3, "rejected/too_long": 1}
    message = str(found.shortfall("the time is over", "wait", "there", condition=" with age 1"))
    assert message.startswith("only 2 of 3 rows with age 1 from 6 answers: the time is over; rejected answers: ")
    assert "missing_column 3 (age 2, dose 1), too_long 1\n  fix: wait\n  the rows so far: there" in message


def test_a_second_run_takes_finished_batches_from_the_log(tmp_path: Path) -> None:
    first = collector(tmp_path)
    first.batch("first", range(6), batch)
    again = collector(tmp_path)
    taken = again.batch("first", range(6), lambda: pytest.fail("the batch is drawn again"))
    assert taken == batch() and (again.rows, again.rejected) == (first.rows, first.rejected)
    assert again.progress.done == 2 and again.progress.left is None  # they tell nothing of this run's pace
    for name, asked in (("second", range(6)), ("first", range(5))):
        assert again.logged(name, asked) is None
    assert collector(tmp_path, identity="another").logged("first", range(6)) is None


def test_more_rows_than_wanted_are_cut(tmp_path: Path) -> None:
    found = collector(tmp_path, n=1)
    found.batch("first", range(6), batch)
    assert found.complete and found.frame(["age"])["age"].tolist() == [1]


@pytest.mark.parametrize("torn", [b'{"name": "second", "as', b"\0\0\0\0\n", b"7\n", b'{"name": "second"\n', b"\xff\n"])
def test_what_cannot_be_read_of_the_log_is_drawn_again_with_all_after_it(torn: bytes, tmp_path: Path) -> None:
    """A kill cuts the last line off; a power cut may leave zeros in the middle of the file."""
    first = collector(tmp_path)
    first.batch("first", range(6), batch)
    path = tmp_path / "progress.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + torn + b'{"name": "third", "asked": [0], "brought": {}}\n')
    again = collector(tmp_path)
    assert again.logged("first", range(6)) is not None and again.logged("third", [0]) is None
    assert path.read_bytes() == whole
    again.batch("second", range(6), batch)
    assert collector(tmp_path).logged("second", range(6)) is not None
