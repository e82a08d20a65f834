"""Times of day as whole numbers: .venv/bin/pytest tests/tables/spellings/test_clock.py."""

from __future__ import annotations

import random

import pandas as pd
import pytest

from harmonic.datasets import Dataset
from harmonic.tables.spellings.clock import ClockSpelling, find_clock

SPIN = random.Random(0)
TIMES = [f"{SPIN.randint(0, 23) * 100 + SPIN.randint(0, 59)}" for _ in range(200)] + ["0", "5", "2400"]


def test_every_time_is_read_and_given_back() -> None:
    spelling = find_clock("dep_time", TIMES)
    assert spelling == ClockSpelling(width=1)
    assert [spelling.write(spelling.read(text)) for text in TIMES] == TIMES
    assert (spelling.read("517"), spelling.read("5"), spelling.read("2400")) == ("317", "5", "1440")
    padded = [text.zfill(4) for text in TIMES]
    assert find_clock("Uhrzeit", padded) == ClockSpelling(width=4)
    assert spelling.write("1500") == "2400" and spelling.write("-3") == "0"


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("price", TIMES),  # nothing says that they are times
        ("time", [str(number) for number in range(100, 400)]),  # 165 is none
        ("time", ["100", "230", "1200"]),
        ("time", [str(100 * hour) for hour in range(1, 25)]),  # no minutes
        ("time", [str(number) for number in range(60)]),  # seconds
    ],
)
def test_other_numbers_are_none(name: str, texts: list[str]) -> None:
    assert find_clock(name, texts) is None


def test_a_column_of_times_holds_times_only_and_says_so() -> None:
    """Learnt as numbers, they came back as 1678."""
    frame = pd.DataFrame({"dep_time": TIMES, "y": [SPIN.choice("pq") for _ in TIMES]}, dtype=object)
    table, layout, _, notes = Dataset(name="t", target="y", missing="keep").typed(frame)
    assert table.schema["dep_time"].maximum == 1440
    assert layout.release(table.texts(), 0)["dep_time"].tolist() == TIMES
    assert any(
        "'dep_time' is read as times of day" in note and "dataset.kinds={dep_time: integer}" in note for note in notes
    )
    plain = Dataset(name="t", target="y", missing="keep", kinds={"dep_time": "integer"})
    assert plain.typed(frame)[0].schema["dep_time"].maximum == 2400
