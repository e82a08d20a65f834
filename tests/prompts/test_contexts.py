"""Which rows prompts show: each takes its turn as the centre, and the centre is never shown."""

from __future__ import annotations

import numpy as np
import pytest
from prompt_tables import make_table

from harmonic.decoding.settings import Sampling
from harmonic.errors import ConfigError
from harmonic.prompts.contexts import NeighborRows, NoRows, RandomRows
from harmonic.prompts.neighbors import nearest

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
