"""Which method is taken, how the time is shared out, and what is said of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.choosing.choice import Candidate, Value, candidate, decide, measure_of
from experiments.choosing.shares import SHARE, allowance, choosing_split
from experiments.choosing.telling import judged, table_of, verdict
from experiments.report.typeset import markdown
from harmonic.time_limit import LENIENCY


def one(name: str, utility: float, risk: float, low: float = 0.5, spread: float = 0.0) -> Candidate:
    return Candidate(name, Value(utility, utility - spread, utility + spread), Value(risk, low, 0.9), 3.0)


TRIED = [
    one("holdout", 0.99, 0.5), one("smote", 0.9, 0.8, low=0.6), one("tabsyn", 0.8, 0.62), one("tvae", 0.7, 0.55),
    one("ctabgan", 0.6, 0.58), Candidate("great", why="not installed"), one("harmonic", math.nan, 0.5),
]  # fmt: skip


@pytest.mark.parametrize(
    ("risk", "taken"), [(None, "tabsyn"), (1.0, "smote"), (0.62, "tabsyn"), (0.6, "tvae"), (0.55, "tvae"), (0.51, None)]
)
def test_the_most_useful_within_the_limit_is_taken(risk: float | None, taken: str | None) -> None:
    choice = decide(TRIED, "mle/f1_macro", risk)
    assert (choice.taken and choice.taken.generator) == taken


def test_anchors_and_methods_without_both_numbers_are_never_taken() -> None:
    assert decide([TRIED[0], TRIED[5], TRIED[6]], "mle/f1_macro", 1.0).taken is None


def test_of_equally_useful_methods_that_is_taken_which_gives_less_away() -> None:
    choice = decide([one("a", 0.7, 0.6), one("b", 0.7, 0.55)], "mle/f1_macro", 0.7)
    assert choice.taken is not None and choice.taken.generator == "b"


def test_the_front_has_what_no_other_beats_in_both() -> None:
    assert [found.generator for found in decide(TRIED, "mle/f1_macro", 0.5).front] == ["smote", "tabsyn", "tvae"]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.5, 1)), min_size=1, max_size=8), st.floats(0.5, 1))
def test_what_is_taken_is_within_the_limit_and_no_other_within_is_more_useful(
    drawn: list[tuple[float, float]], risk: float
) -> None:
    tried = [one(f"m{number}", *pair) for number, pair in enumerate(drawn)]
    choice = decide(tried, "mle/f1_macro", risk)
    within = [pair for pair in drawn if pair[1] <= risk]
    assert (choice.taken is None) == (not within)
    if choice.taken is not None:
        assert choice.taken.risk.value <= risk
        assert choice.taken.utility.value == max(utility for utility, _ in within)
    assert {found.utility.value for found in choice.front} >= {max(utility for utility, _ in drawn)}


def test_methods_whose_intervals_reach_what_is_taken_are_named() -> None:
    choice = decide([one("a", 0.7, 0.5, spread=0.05), one("b", 0.66, 0.5, spread=0.05), one("c", 0.5, 0.5)], "m", 0.6)
    assert "With other rows, one of these might be chosen: b; their intervals reach it." in list(verdict(choice))


def test_where_none_is_accepted_the_limit_that_would_take_one_is_told() -> None:
    (said,) = verdict(decide(TRIED[1:5], "mle/f1_macro", 0.51))
    assert "none of 4 methods is accepted" in said and "tvae reveals least" in said
    assert "choose.risk=0.55 would accept it" in said
    assert decide(TRIED[1:5], "mle/f1_macro", 0.55).taken is not None
    (said,) = verdict(decide([TRIED[0]], "mle/f1_macro", None))
    assert said.startswith("No method is chosen: none has both numbers")


def test_the_table_says_of_each_method_where_it_stands() -> None:
    table = table_of(decide(TRIED, "mle/f1_macro", 0.62), "Methods")
    said = {row[0].text: row[1].text for row in table.rows}
    assert said["smote"] == "on the front, reveals too much"
    assert said["tabsyn"] == "chosen, on the front" and said["tvae"] == "on the front" and said["ctabgan"] == ""
    assert said["holdout"] == "for comparison" and said["great"] == "not installed"
    assert [row[0].text for row in table.rows][:4] == ["smote", "tabsyn", "tvae", "ctabgan"]
    assert "0.620 (0.500, 0.900)" in markdown([table])


def report(**metrics: float | None) -> dict[str, Any]:
    return {
        "metrics": metrics, "unavailable": {"mia/worst": "too few rows"}, "config": {"dataset": {"headline": None}},
        "stages": {name: {"seconds": 2**place} for place, name in enumerate(("prompts", "fit", "sample", "evaluate"))},
    }  # fmt: skip


def test_a_report_gives_numbers_intervals_seconds_and_why_something_is_missing() -> None:
    whole = {"mle/f1_macro": 0.7, "mle/f1_macro/low": 0.6, "mle/f1_macro/high": 0.8, "mia/worst": 0.55}
    found = candidate("smote", report(**whole), "mle/f1_macro")
    assert found.utility == Value(0.7, 0.6, 0.8) and found.risk.value == 0.55 and found.seconds == 7
    assert found.counts and found.why == ""
    found = candidate("smote", report(**{"mle/f1_macro": 0.7, "mia/worst": None}), "mle/f1_macro")
    assert not found.counts and found.why == "mia/worst: too few rows"


def test_a_table_without_a_target_is_judged_by_how_columns_go_together() -> None:
    assert measure_of([report(**{"mle/r2": 0.5, "column_shapes": 1})]) == "mle/r2"
    assert measure_of([report(column_shapes=1, correlation_similarity=0.9)]) == "correlation_similarity"
    assert measure_of([report(column_shapes=1, correlation_similarity=None)]) == "column_shapes"


def test_a_figure_above_the_limit_on_test_rows_and_an_earlier_look_are_told(tmp_path: Path) -> None:
    choice = decide(TRIED, "mle/f1_macro", 0.62)
    final = report(**{"mle/f1_macro": 0.75, "mia/worst": 0.7, "mia/worst/low": 0.5, "mia/worst/high": 0.8})
    said = "\n".join(judged(choice, final, tmp_path, ["tvae"]))
    assert "mle/f1_macro 0.750, mia/worst 0.700 (0.500, 0.800)" in said
    assert "above the limit of 0.620" in said and "used before, for tvae" in said
    assert f"harmonic-sample {tmp_path} n=1000" in said


@given(st.floats(0.01, 1000), st.floats(-10, 1000))
def test_no_method_is_given_more_than_is_left(minutes: float, left: float) -> None:
    given_minutes = allowance(minutes, left)
    if given_minutes is not None:
        assert 0 < given_minutes <= SHARE * minutes * (1 + 1e-9)
        assert 2 * LENIENCY * given_minutes <= left * (1 + 1e-9)


def test_early_methods_have_a_fifth_of_the_time_and_late_ones_less() -> None:
    assert [allowance(20, left) for left in (20, 10, 9, 3, 2)] == [4, 4, 3, 1, None]


def test_while_choosing_the_test_rows_keep_their_share() -> None:
    assert choosing_split({"train": 0.64, "val": 0.16, "test": 0.2}, 0.3) == {"train": 0.5, "val": 0.3, "test": 0.2}
