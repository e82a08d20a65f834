"""One table, split into train, validation and test rows, and everything that is known about these rows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from harmonic.randomness import derive
from harmonic.tables.grouping import People
from harmonic.tables.reading.declared import Declared
from harmonic.tables.reading.file_layout import FileLayout
from harmonic.tables.rules.rule_set import Rules
from harmonic.tables.table import Schema, Table


@dataclass(frozen=True, slots=True)
class Splits:
    """One table, split once. Every generator of a sweep gets the same split.

        table ─┬─ train ──────────── generators learn from them; fidelity compares with them; those that were learnt are
               │                     the members of attacks
               ├─ val ─┬─ reference  learners' settings are chosen on them (mle); attackers have them
               │       └─ holdout ── only for the anchor `holdout`: fresh real rows instead of synthetic ones
               └─ test ───────────── learners are tested on them; the non-members of attacks

        evaluate_on=validation, to choose settings by a metric (`for_selection`):

        reference ─┬─ two thirds ─── instead of test
                   └─ one third ──── instead of reference; test and holdout stay unseen

    There are only so few parts because of small tables: with more parts, each would have too few rows. Learners'
    settings and attackers may share rows, because neither result affects the other.
    """

    train: Table
    val: Table
    test: Table
    source: str = ""  # where the rows came from, for the report
    notes: tuple[str, ...] = field(default=())  # what was changed while reading, for the report
    layout: FileLayout | None = None  # of the file that they came from; None: the table has the file's columns
    canaries: Table | None = None  # made-up rows that are after the real ones in `train` (harmonic.tables.canaries)
    decoys: Table | None = None  # made-up rows that are nowhere else
    planted: np.ndarray | None = None  # positions of the canaries that the generator learnt; None: all
    learnt: np.ndarray | None = None  # positions of the training rows that the generator really used; None: all
    kept_apart: Table | None = None  # the holdout rows, if `val` is without them
    people: People | None = None  # the people that have several rows (harmonic.tables.grouping)
    rules: Rules | None = None  # what is true in every row, and must be in new ones (harmonic.tables.rules.rule)
    declared: Declared | None = None  # what the user, or the file's spelling, says of the columns; None: nothing

    @property
    def schema(self) -> Schema:
        """The schema of `train`: that of all rows, except in the splits that generators get.

        See harmonic.tables.training_view.
        """
        return self.train.schema

    @property
    def whole_schema(self) -> Schema:
        """The schema of all rows: it also allows values that only held-out rows have."""
        return self.val.schema

    @property
    def members(self) -> Table:
        """The training rows that the generator learnt, or that prompts showed: the others leave no trace."""
        return self.train if self.learnt is None else self.train.take(self.learnt)

    @property
    def learnt_canaries(self) -> Table | None:
        """The canaries that the generator learnt."""
        return self.canaries if self.canaries is None or self.planted is None else self.canaries.take(self.planted)

    @property
    def reference(self) -> Table:
        return self.val if self.kept_apart is not None else _parted(self.val, len(self.val) // 2, "reference")[0]

    @property
    def holdout(self) -> Table:
        if self.kept_apart is not None:
            return self.kept_apart
        return _parted(self.val, len(self.val) // 2, "reference")[1]

    def for_selection(self) -> Splits:
        """The same split, with two thirds of the reference rows instead of the test rows, and one third left.

        To choose settings by a metric: the test rows and the holdout rows stay unseen.
        """
        reference = self.reference
        val, test = _parted(reference, len(reference) // 3, "selection")
        return replace(self, val=val, test=test, kept_apart=self.holdout)

    def each(self, change: Callable[[Table], Table]) -> Splits:
        """The same split with every one of its tables changed."""
        names = ("train", "val", "test", "canaries", "decoys", "kept_apart")
        tables: dict[str, Table | None] = {name: getattr(self, name) for name in names}
        changed: dict[str, Any] = {name: change(table) for name, table in tables.items() if table is not None}
        return replace(self, **changed)

    def reduced(self, rules: Rules) -> Splits:
        """The split as a generator gets it: without the columns that the rules compute."""
        return replace(self.each(rules.reduced_table), rules=None)

    def fingerprint(self) -> str:
        """sha256 over the rows and the layout of their file: equal for equal files with the same split."""
        layout = "" if self.layout is None else self.layout.fingerprint()
        return hashlib.sha256((self.rows_fingerprint() + layout).encode()).hexdigest()

    def rows_fingerprint(self) -> str:
        """sha256 over the rows of every part: everything that generators and evaluators get from the file."""
        tables = (self.train, self.val, self.test, self.reference, self.holdout, self.canaries, self.decoys)
        parts = ["" if table is None else table.fingerprint() for table in tables]
        if self.rules is not None and self.rules.rules:
            parts.append(repr(self.rules.rules))
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _parted(table: Table, size: int, name: str) -> tuple[Table, Table]:
    """`size` of the rows, and the others, in the table's order; the same ones for any seed of a run."""
    order = np.random.default_rng(derive(0, name)).permutation(len(table))
    return table.take(np.sort(order[:size])), table.take(np.sort(order[size:]))
