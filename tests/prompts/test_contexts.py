"""Which rows prompts show: each takes its turn as the centre, and the centre is never shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from prompt_tables import make_table

from harmonic.decoding.settings import Sampling
from harmonic.errors import ConfigError
from harmonic.prompts.contexts import NeighborRows, NoRows, RandomRows, target_groups
from harmonic.prompts.neighbors import nearest
from harmonic.tables.table import Table, Task

NEAREST = nearest(make_table(25), 4)


def centers(context: NeighborRows, count: int, start: int = 0) -> list[int]:
    return [context.center(place) for place in range(start, start + count)]


def test_the_centre_is_left_out_and_its_neighbours_are_shown_in_any_order() -> None:
    context = NeighborRows(NEAREST, NEAREST.shape[1], 0)
    firsts = []
    for place in range(200):
        shown, _ = context.shown(place)
        center = context.center(place)
        assert center not in shown and sorted(shown) == sorted(NEAREST[center])
        firsts.append(NEAREST[center].tolist().index(shown[0]))
    assert np.bincount(firsts).min() > 25  # 50 expected: the nearest does not always come first


def test_every_row_is_the_centre_once_before_any_is_a_second_time() -> None:
    context = NeighborRows(NEAREST, NEAREST.shape[1], 0)
    turns = [centers(context, 25, start) for start in (0, 25, 50)]
    assert all(sorted(turn) == list(range(25)) for turn in turns)
    assert turns[0] != turns[1] != turns[2] and turns[0] != list(range(25))


def test_a_place_gives_the_same_rows_whatever_was_asked_before() -> None:
    backwards = [NeighborRows(NEAREST, NEAREST.shape[1], 0).shown(place)[0].tolist() for place in reversed(range(60))][
        ::-1
    ]
    context = NeighborRows(NEAREST, NEAREST.shape[1], 0)
    assert [context.shown(place)[0].tolist() for place in range(60)] == backwards
    assert centers(NeighborRows(NEAREST, NEAREST.shape[1], 1), 25) != centers(
        NeighborRows(NEAREST, NEAREST.shape[1], 0), 25
    )


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 1.5, 25)])
def test_every_part_of_a_turn_has_centres_of_all_groups_in_their_shares(weights: np.ndarray | None) -> None:
    groups = np.array([0] * 15 + [1] * 8 + [2] * 2)
    context = NeighborRows(NEAREST, NEAREST.shape[1], 3, weights=weights, groups=groups)
    turns = [centers(context, 25, start) for start in (0, 25)]
    assert turns[0] != turns[1]
    for turn in turns:
        wanted = np.bincount(groups[turn], minlength=3) / 25
        for length in range(1, 26):
            held = np.bincount(groups[turn[:length]], minlength=3)
            assert (np.abs(held - wanted * length) < 2).all()  # each group is within one row of its time
    if weights is None:
        assert sorted(turns[0]) == list(range(25))


def test_rows_are_grouped_by_label_or_by_tenths_of_a_number() -> None:
    table = make_table(40)
    labels = table.target.tolist()
    groups = target_groups(table)
    assert groups is not None and len(set(zip(labels, groups.tolist(), strict=True))) == len(set(labels))
    numbers = Table(table.frame, replace(table.schema, target=table.schema.numeric[0], task=Task.REGRESSION))
    tenths = target_groups(numbers)
    assert tenths is not None and np.bincount(tenths).tolist() == [4] * 10
    assert (np.diff(tenths[np.argsort(numbers.target.to_numpy(), kind="stable")]) >= 0).all()
    assert target_groups(Table(table.frame, replace(table.schema, target="", task=Task.NONE))) is None


def test_some_rows_alone_may_be_centres() -> None:
    some = np.array([3, 8, 21])
    context = NeighborRows(NEAREST, NEAREST.shape[1], 0, centers=some)
    assert [sorted(centers(context, 3, start)) for start in (0, 3)] == [[3, 8, 21]] * 2


def test_weights_say_how_often_a_row_is_the_centre_to_the_nearest_whole_number() -> None:
    weights = np.linspace(0.25, 1.75, 25)
    weights /= weights.mean()
    context = NeighborRows(NEAREST, NEAREST.shape[1], 5, weights=weights)
    turns = np.array([np.bincount(centers(context, 25, 25 * turn), minlength=25) for turn in range(400)])
    assert (turns >= np.floor(weights)).all() and (turns <= np.ceil(weights)).all()
    assert turns.mean(axis=0) == pytest.approx(weights, abs=0.1)  # standard deviation at most 0.025
    heavy = np.zeros(25)
    heavy[7] = 3.0
    assert set(centers(NeighborRows(NEAREST, NEAREST.shape[1], 0, weights=heavy), 25)) == {7}


def test_nothing_shown_leaves_each_prompt_its_own_draws() -> None:
    context = NoRows(4)
    assert context.shown(0)[0].shape == (0,)
    draws = [context.shown(place)[1].random() for place in (0, 1, 0)]
    assert draws[0] == draws[2] != draws[1] and NoRows(5).shown(0)[1].random() != draws[0]


def test_random_rows_are_of_those_that_may_be_shown() -> None:
    rows = np.array([1, 5, 6, 9, 14, 20])
    for metric in ("mixed", "reference"):
        context = RandomRows(rows, 3, 0, metric=metric)  # type: ignore[arg-type]
        shown = [context.shown(place)[0].tolist() for place in range(50)]
        assert {row for found in shown for row in found} == set(rows.tolist())
        assert all(len(set(found)) == 3 for found in shown)


def test_what_is_no_context_is_refused() -> None:
    Sampling(context="neighbors").check()
    with pytest.raises(ConfigError, match=r"generator\.sampling\.context=neighbours: (.|\n)*neighbors"):
        Sampling(context="neighbours").check()  # type: ignore[arg-type]


def test_of_a_wider_neighborhood_some_rows_are_drawn() -> None:
    few = NeighborRows(NEAREST, 2, 0)
    shown = [set(few.shown(place)[0].tolist()) for place in range(200)]
    assert all(len(rows) == 2 for rows in shown)
    assert all(rows <= set(NEAREST[few.center(place)].tolist()) for place, rows in enumerate(shown))
    assert len(set(map(frozenset, shown[::25]))) > 1
