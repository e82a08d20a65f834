"""Rows of one person: found, told, and on one side of the split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from visits import visits

from harmonic.datasets import Dataset
from harmonic.errors import ConfigError
from harmonic.tables.grouping import find_group, people_of, split_by_group


def parts_of(path: Path, seed: int, **settings: object) -> tuple[list[set[tuple[int, int]]], tuple[str, ...]]:
    """For each part the people in it, told apart by age and sex, which no generator changes here; and the notes."""
    splits = Dataset(path=str(path), target="back", missing="keep", **settings).load(seed)  # type: ignore[arg-type]
    told = [
        {(row.age, row.pulse) for row in part.frame.itertuples()} for part in (splits.train, splits.val, splits.test)
    ]
    return told, splits.notes


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("settings", [{"group": "patient"}, {"kinds": {"patient": "identifier"}}])
def test_nobody_is_on_two_sides(tmp_path: Path, settings: dict[str, object], seed: int) -> None:
    path = visits(tmp_path / "visits.csv")
    rows = pd.read_csv(path)
    whose = {}
    for row in rows.itertuples():
        whose.setdefault((row.age, row.pulse), set()).add(row.patient)
    parts, notes = parts_of(path, seed, **settings)
    people = [set.union(*(whose[one] for one in part if len(whose[one]) == 1)) for part in parts]
    assert all(people) and not people[0] & people[1] and not people[0] & people[2] and not people[1] & people[2]
    assert any("'patient' names 60" in note and "independent" in note for note in notes)


def test_without_a_group_people_are_on_both_sides(tmp_path: Path) -> None:
    """What the test above would see if the split did not look."""
    path = visits(tmp_path / "visits.csv")
    rows = pd.read_csv(path)
    (train, _, test), notes = parts_of(path, 0, kinds={"patient": "drop"})
    ages = rows.groupby("patient")["age"].first()
    assert len(ages) == 60 and {age for age, _ in train} & {age for age, _ in test}
    assert not any("independent" in note for note in notes)


def test_sizes_are_about_those_of_the_fractions_and_every_row_is_in_one_part() -> None:
    draw = np.random.default_rng(1)
    groups = np.repeat(np.arange(200), draw.integers(1, 8, 200))
    classes = draw.choice(np.array(["a", "b"], dtype=object), len(groups))
    parts, _ = split_by_group(groups, classes, fractions={"train": 0.64, "val": 0.16, "test": 0.2}, seed=3)
    assert sorted(np.concatenate(parts)) == list(range(len(groups)))
    assert [len(part) / len(groups) for part in parts] == pytest.approx([0.64, 0.16, 0.2], abs=0.05)
    again, _ = split_by_group(groups, classes, fractions={"train": 0.64, "val": 0.16, "test": 0.2}, seed=3)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


def test_an_identifier_of_its_own_row_is_no_group_and_neither_are_a_few_clinics() -> None:
    rows = pd.DataFrame({"row": [str(one) for one in range(100)], "who": [str(one // 4) for one in range(100)],
                         "clinic": [str(one % 3) for one in range(100)]})  # fmt: skip
    assert find_group(rows, ["row"]) is None and find_group(rows, ["clinic"]) is None
    assert find_group(rows, ["row", "who", "clinic"]) == "who"


def test_rows_without_a_name_are_nobody_elses() -> None:
    rows = pd.DataFrame({"who": ["a", "", "a", "", "b"]})
    codes, _ = people_of(rows, "who", [], [""])
    assert codes is not None and len(set(codes)) == 4 and codes[0] == codes[2]


def test_a_group_that_is_no_column_is_an_error_with_the_one_that_is_meant() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.group=who"):
        people_of(pd.DataFrame({"who": ["a"]}), "whoo", [], [])


def test_an_identifier_that_most_rows_lack_stands_for_no_group() -> None:
    """Its empty cells were counted as one more value, and told as one person's."""
    texts = pd.DataFrame({"cabin": [f"C{row}" for row in range(33)] + [""] * 87}, dtype=object)
    assert find_group(texts, ["cabin"]) is None
    assert find_group(pd.DataFrame({"cabin": [f"C{row % 33}" for row in range(120)]}), ["cabin"]) == "cabin"


def test_a_column_that_decides_others_may_say_whose_a_row_is(tmp_path: Path) -> None:
    """Told only: a code and its names look the same."""
    frame = pd.read_csv(visits(tmp_path / "visits.csv"))
    frame["patient"] = frame["patient"].str[1:].astype(int) % 997 * 3  # numbers under a name that says nothing
    frame["town"] = frame["patient"].map(lambda one: "abcde"[one % 5])
    frame.rename(columns={"patient": "pig"}).to_csv(tmp_path / "pigs.csv", index=False)
    notes = Dataset(path=str(tmp_path / "pigs.csv"), target="back", missing="keep", rules="auto").load(0).notes
    assert any("'pig' decides" in note and "dataset.group=pig" in note for note in notes)
    told = Dataset(path=str(tmp_path / "pigs.csv"), target="back", missing="keep", rules="auto", group="pig").load(0)
    assert told.people is not None and told.people.people == 60
    assert not any("if it names the person" in note for note in told.notes)


def test_rows_without_a_name_are_not_counted_as_people() -> None:
    texts = pd.DataFrame({"who": ["a", "a", "b", "", ""]}, dtype=object)
    _, people = people_of(texts, "who", [], [""])
    assert people is not None and (people.people, people.rows) == (2, 3)
