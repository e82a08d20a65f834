"""How rows are split into train, validation and test rows: by fractions, stratified, seeded."""

from __future__ import annotations

import math
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError
from harmonic.randomness import derive
from harmonic.settings import Between
from harmonic.shell import override

PARTS = ("train", "val", "test")
MIN_TRAIN, MIN_HELD_OUT = 4, 2  # the validation rows are halved again, so that two are the least
MIN_CLASS = 3  # rows a class needs to be met in train, validation and test


class Fractions(TypedDict, total=False):
    """The shares of the rows, which add up to 1."""

    train: Between
    val: Between
    test: Between


Positions = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def split_sizes(rows: int, fractions: Fractions) -> tuple[int, int, int]:
    """How many rows train, validation and test get.

    The held-out parts are rounded up, the test rows of the whole and the validation rows of what remains: with the
    fractions in conf/dataset this gives the sizes of the paper's splits. Raises ConfigError for fractions that are
    none, DataError where the rows do not suffice.
    """
    _check_fractions(fractions)
    test = max(MIN_HELD_OUT, _round_up(rows * fractions["test"]))
    share = fractions["val"] / (fractions["train"] + fractions["val"])
    val = max(MIN_HELD_OUT, _round_up((rows - test) * share))
    train = rows - test - val
    if train < MIN_TRAIN:
        least = MIN_TRAIN + 2 * MIN_HELD_OUT
        raise DataError(
            f"{rows} rows are too few to split into train, validation and test by {dict(fractions)}\n"
            f"  fix: give more rows: at least {least} ({MIN_TRAIN} to train, {MIN_HELD_OUT} each to validate and test)"
        )
    return train, val, test


def split_rows(
    rows: int, classes: NDArray[np.object_] | None, *, fractions: Fractions, seed: int
) -> tuple[Positions, list[str]]:
    """Positions of the train, validation and test rows (disjoint, together all rows), and notes.

    `classes` are the target's values (rows,) of a classification, or None. Their shares are kept in every part. Rows
    of a class with fewer than three rows go to train: a class that is only tested could not be learnt. Where the
    parts are too small to hold every class, the split is plain, and a note says so. Raises DataError when fewer than
    two classes have three rows.
    """
    sizes = split_sizes(rows, fractions)
    everything = np.arange(rows)
    notes = []
    if sizes[1:] == (MIN_HELD_OUT, MIN_HELD_OUT):
        notes.append(f"only {rows} rows, split {sizes[0]}/{sizes[1]}/{sizes[2]}: scores will hardly mean anything")
    if classes is None:
        return _split(everything, None, sizes, seed), notes
    names, counts = np.unique(classes, return_counts=True)
    rare = names[counts < MIN_CLASS]
    if len(names) - len(rare) < 2:
        raise DataError(
            f"the target has {len(names)} classes in {rows} rows, and fewer than two of them have {MIN_CLASS} rows: "
            "they cannot be split\n  fix: check dataset.target (an identifier?), or give more rows of each class"
        )
    kept = everything[np.isin(classes, rare)]
    common = everything[~np.isin(classes, rare)]
    if len(rare):
        notes.append(f"all {len(kept)} rows of classes with fewer than {MIN_CLASS} rows are in train: {list(rare)[:5]}")
    if len(common) < sizes[1] + sizes[2] + MIN_HELD_OUT:
        raise DataError(
            f"{len(kept)} of {rows} rows belong to classes with fewer than {MIN_CLASS} rows, so that too few remain "
            "to split\n  fix: check dataset.target, or give more rows of each class"
        )
    sizes = (len(common) - sizes[1] - sizes[2], sizes[1], sizes[2])
    try:
        train, val, test = _split(common, classes, sizes, seed)
    except ValueError as error:
        train, val, test = _split(common, None, sizes, seed)
        notes.append(f"the split is not stratified: {error}")
    return (np.concatenate([train, kept]), val, test), notes


def _split(
    positions: NDArray[np.int64], classes: NDArray[np.object_] | None, sizes: tuple[int, int, int], seed: int
) -> Positions:
    """Test rows first, then validation rows of the rest. ValueError where stratifying is impossible."""
    from sklearn.model_selection import train_test_split

    def halve(rows: NDArray[np.int64], size: int, part: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        strata = None if classes is None else classes[rows]
        rest, taken = train_test_split(rows, test_size=size, random_state=derive(seed, "split", part), stratify=strata)
        return rest, taken

    rest, test = halve(positions, sizes[2], "test")
    train, val = halve(rest, sizes[1], "val")
    return train, val, test


def _round_up(size: float) -> int:
    return math.ceil(size - 1e-6)  # 0.2 * 1000 must not become 201 by the last bit


def _check_fractions(fractions: Fractions) -> None:
    usual = override("dataset.split", {"train": 0.64, "val": 0.16, "test": 0.2})
    fix = f"three fractions that add up to 1, such as {usual}"
    if set(fractions) != set(PARTS):
        raise ConfigError("dataset.split", dict(fractions), f"must name {', '.join(PARTS)}", fix)
    if not all(isinstance(value, int | float) and 0 < value < 1 for value in fractions.values()):
        raise ConfigError("dataset.split", dict(fractions), "every part must lie between 0 and 1", fix)
    total = fractions["train"] + fractions["val"] + fractions["test"]
    if abs(total - 1) > 1e-6:
        raise ConfigError("dataset.split", dict(fractions), f"the parts add up to {total:.6g}", fix)
