"""How rows are split into training, validation and test rows: by fractions, stratified, with a seed."""

from __future__ import annotations

import math
from typing import TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError
from harmonic.randomness import derive
from harmonic.settings import Between
from harmonic.shell import override
from harmonic.tables.table import Table

PARTS = ("train", "val", "test")
MIN_TRAIN, MIN_HELD_OUT = 4, 2  # at least two validation rows, because they are halved again
MIN_CLASS = 3  # rows of a class, so that it is in train, validation and test


class Fractions(TypedDict, total=False):
    """The shares of the rows. They add up to 1."""

    train: Between
    val: Between
    test: Between


Positions = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


def split_sizes(rows: int, fractions: Fractions) -> tuple[int, int, int]:
    """How many rows train, validation and test get.

    The held-out parts are rounded up: the test rows as a share of all rows, the validation rows as a share of the rest.
    With the fractions in conf/dataset this gives the sizes of the paper's splits. Raises ConfigError if the fractions
    are invalid, DataError if there are too few rows.
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

    `classes` are the target's values (rows,) of a classification, or None. Every part has the same shares of them. Rows
    of a class with fewer than three rows go to train: a class that is only tested could not be learnt. If the parts
    are too small for every class, the split is not stratified, and a note says so. Raises DataError if fewer than two
    classes have three rows.
    """
    sizes = split_sizes(rows, fractions)
    notes = []
    if sizes[1:] == (MIN_HELD_OUT, MIN_HELD_OUT):
        notes.append(f"only {rows} rows, split {sizes[0]}/{sizes[1]}/{sizes[2]}: scores will hardly mean anything")
    if classes is None:
        return _split(np.arange(rows), None, sizes, seed), notes
    kept, common, remarks = _rare_apart(classes, sizes)
    notes += remarks
    sizes = (len(common) - sizes[1] - sizes[2], sizes[1], sizes[2])
    try:
        train, val, test = _split(common, classes, sizes, seed)
    except ValueError as error:
        train, val, test = _split(common, None, sizes, seed)
        notes.append(f"the split is not stratified: {error}")
    return (np.concatenate([train, kept]), val, test), notes


def _rare_apart(
    classes: NDArray[np.object_], sizes: tuple[int, int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[str]]:
    """Positions of the rows of rare classes, which stay in train, and of the others; and notes."""
    codes, names = pd.factorize(classes, sort=True)  # np.unique would compare every two texts
    counts = np.bincount(codes)
    rare = names[counts < MIN_CLASS]
    if len(names) - len(rare) < 2:
        raise DataError(
            f"the target has {len(names)} classes in {len(classes)} rows, and fewer than two of them have {MIN_CLASS} "
            "rows: they cannot be split\n  fix: check dataset.target (an identifier?), or give more rows of each class"
        )
    is_rare = (counts < MIN_CLASS)[codes]
    kept, common = np.flatnonzero(is_rare), np.flatnonzero(~is_rare)
    if len(common) < sizes[1] + sizes[2] + MIN_HELD_OUT:
        raise DataError(
            f"{len(kept)} of {len(classes)} rows belong to classes with fewer than {MIN_CLASS} rows, so that too few "
            "remain to split\n  fix: check dataset.target, or give more rows of each class"
        )
    if not len(rare):
        return kept, common, []
    note = f"all {len(kept)} rows of classes with fewer than {MIN_CLASS} rows are in train: {list(rare)[:5]}"
    return kept, common, [note]


def _split(
    positions: NDArray[np.int64], classes: NDArray[np.object_] | None, sizes: tuple[int, int, int], seed: int
) -> Positions:
    """First the test rows, then validation rows of the rest. Raises ValueError if stratifying is impossible."""
    from sklearn.model_selection import train_test_split

    codes = None if classes is None else pd.factorize(classes, sort=True)[0]

    def halve(rows: NDArray[np.int64], size: int, part: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        how = {"test_size": size, "random_state": derive(seed, "split", part)}
        try:
            rest, taken = train_test_split(rows, stratify=None if codes is None else codes[rows], **how)
        except ValueError:  # once more, for an error with the names of the classes
            rest, taken = train_test_split(rows, stratify=None if classes is None else classes[rows], **how)
        return rest, taken

    rest, test = halve(positions, sizes[2], "test")
    train, val = halve(rest, sizes[1], "val")
    return train, val, test


def _round_up(size: float) -> int:
    return math.ceil(size - 1e-6)  # 0.2 * 1000 must not become 201 because of its last bit


def _check_fractions(fractions: Fractions) -> None:
    usual = override("dataset.split", {"train": 0.64, "val": 0.16, "test": 0.2})
    fix = f"three fractions that add up to 1, such as {usual}"
    if set(fractions) != set(PARTS):
        raise ConfigError("dataset.split", dict(fractions), f"must name {', '.join(PARTS)}", fix)
    if not all(isinstance(value, int | float) and 0 < value < 1 for value in fractions.values()):
        raise ConfigError("dataset.split", dict(fractions), "every part must be between 0 and 1", fix)
    total = fractions["train"] + fractions["val"] + fractions["test"]
    if abs(total - 1) > 1e-6:
        raise ConfigError("dataset.split", dict(fractions), f"the parts add up to {total:.6g}", fix)


# ---- checks of the parts


def given_positions(part: NDArray[np.int64]) -> Positions:
    """The rows of each part; `part` is that of each row, 0 to 2. Raises DataError if one is too small."""
    positions = (np.flatnonzero(part == 0), np.flatnonzero(part == 1), np.flatnonzero(part == 2))
    for name, rows in zip(PARTS, positions, strict=True):
        if len(rows) < MIN_HELD_OUT:
            raise DataError(f"the given {name} split has {len(rows)} usable rows\n  fix: at least {MIN_HELD_OUT}")
    return positions


def check_learnable(train: Table) -> None:
    """Raises DataError if a column has no value in the training rows."""
    empty = [name for name in train.schema.names if not train.frame[name].notna().any()]
    if empty:
        fix = "give more rows, or leave the column out: " + override("dataset.kinds", {empty[0]: "drop"})
        raise DataError(f"columns without any value in the {len(train)} training rows: {empty}\n  fix: {fix}")


def unseen_classes(train: Table) -> list[str]:
    """A note on the classes of the target that no training row has."""
    if not train.schema.has_target:
        return []
    column = train.schema[train.schema.target]
    unseen = sorted(set(column.categories) - set(train.target))
    return [f"classes of {column.name!r} that no training row has: {unseen}"] if unseen else []
