"""Datasets: what a table is, where its rows come from, and how they are split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
import pandas as pd
from annotated_types import Ge
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError, unknown
from harmonic.randomness import derive
from harmonic.settings import Count, Text, check_fields, text_of
from harmonic.tables.canaries import Canaries, plant
from harmonic.tables.column_types.decided_kinds import decide_kinds
from harmonic.tables.column_types.missing_markers import (
    MISSING_VALUES,
    marker_notes,
    marker_texts,
    refuse_classes,
    settle_markers,
)
from harmonic.tables.dtypes import FrameDtypes
from harmonic.tables.grouping import People, likely_groups, people_of, split_by_group
from harmonic.tables.missing_rows import usable_rows
from harmonic.tables.naming import column_named, columns_named, file_label
from harmonic.tables.reading.declared import Declared, read_declared, typed_table
from harmonic.tables.reading.dialect import Dialect
from harmonic.tables.reading.file_layout import FileLayout
from harmonic.tables.reading.files import (
    download_openml,
    is_parquet,
    read_csv,
    read_given_splits,
    read_packaged,
    read_parquet,
    read_scikit_learn,
)
from harmonic.tables.reading.layout_search import find_layout
from harmonic.tables.rules.rule_set import Rules
from harmonic.tables.rules.text import Wanted, kept_rules
from harmonic.tables.spellings.spelling_search import Spelled, spell
from harmonic.tables.splits import Splits
from harmonic.tables.splitting import PARTS, Fractions, check_learnable, given_positions, split_rows, unseen_classes
from harmonic.tables.table import Schema, Table
from harmonic.tables.training_view import training_schema

SOURCES: dict[str, Callable[[str], pd.DataFrame]] = {"packaged": read_packaged, "scikit-learn": read_scikit_learn}
FORMATS = ("any", "plain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One table: where its rows are, and what cannot be seen from them (conf/dataset/<name>.yaml).

    The rows come from `path` if it is given, else from the splits in `data_dir`, else from `source`.
    """

    name: Text | None = None  # of the table; None: that of its file
    target: Text | None = None  # the column to predict; None: there is none
    task: str | None = None  # one of harmonic.tables.table.Task; None infers it from the target
    description: Text = "records"  # what the rows are about, in the words of the instruction
    source: str = "file"  # packaged | openml | scikit-learn | file (only `path` or `data_dir`)
    openml: Count | None = None  # the table's number on OpenML, for source=openml
    classes: Mapping[Text, Text] | None = None  # class of the target on OpenML: its name here
    path: Text | None = None  # a CSV or Parquet file, split here
    data_dir: Text | None = None  # a folder with <name>/raw/<name>_{train,val,test}.csv: splits that do not change
    kinds: Mapping[Text, str] | str | None = None  # column: what it is, if it must not be inferred; or as `columns`
    columns: Text | None = None  # a YAML file that says what the columns are (harmonic.tables.reading.declared)
    labels: Mapping[Text, Text] | None = None  # class: words for it, in LLM evaluation
    headline: str | None = None  # the score to look at first
    task_sentence: Text | None = None  # the task in words, for LLM evaluation
    words: Mapping[Text, Mapping[Text, Text]] | None = None  # column: {value: words for it}, in LLM evaluation
    canaries: Canaries | None = None  # {count, repeats}: made-up training rows (harmonic.tables.canaries)
    split: Fractions = field(default_factory=lambda: Fractions(train=0.64, val=0.16, test=0.2))
    max_rows: Annotated[int, Ge(8)] | None = None  # most rows, a random choice by the seed; None: all
    group: Text | None = None  # a column that names the person of a row, for the split; None: found, if any
    rules: Wanted = "off"  # what is true in every row: auto | off | a list (harmonic.tables.rules.rule)
    formats: str = "any"  # any: values as people write them; plain: only plain numbers and categories
    decimal: str | None = None  # "." or ",", if both may be the decimal mark; None: as in other columns
    dates: str | None = None  # dayfirst | monthfirst, if both are possible
    identifiers: str = "new"  # new | grouped | drop: what the synthetic file has instead of identifiers
    release: Sequence[Text] = ()  # columns whose values may be released although they look like identifiers
    free_text: str = "blank"  # blank | drop: what the synthetic file has instead of free text
    missing: str = "error"  # error | drop | keep: what to do with rows that have missing values
    missing_values: Sequence[Text | None] = MISSING_VALUES  # texts that stand for a missing value
    delimiter: str | None = None  # of a CSV file; None: found
    encoding: str | None = None
    header: bool | None = None  # whether the first line names the columns; None: found

    @property
    def label(self) -> str:
        """The name of the table, or of its file."""
        if self.name is not None:
            return text_of(self.name)
        return file_label(self.path) if self.path is not None else "table"

    def load(self, seed: int) -> Splits:
        """Read, type and split the table. The same seed gives the same splits for every generator.

        `seed` does not change splits from `data_dir`. Raises ConfigError or DataError with the fix.
        """
        check_fields(self, "dataset")
        texts, given, origin, file = self._read()
        texts, given, drawn = self._drawn(texts, given, seed)
        own = self._named(list(texts.columns))
        table, layout, kept, notes, said = own._typed(texts, file)
        groups, people = own._people(texts[kept], layout)
        if given is None:
            classes = table.target.to_numpy() if table.schema.task.is_classification else None
            if groups is None:
                positions, decided = split_rows(len(table), classes, fractions=own.split, seed=seed)
            else:
                positions, decided = split_by_group(groups, classes, fractions=own.split, seed=seed)
        else:
            positions, decided = given_positions(given[kept]), []
        train, val, test = (table.take(rows) for rows in positions)
        check_learnable(train)
        rules, found = own.rules_of(train, [val, test], said)
        notes += [*drawn, *([str(people)] if people else []), *decided, *unseen_classes(train), *found]
        notes += likely_groups(rules, train) if people is None else []
        splits = Splits(
            train=train, val=val, test=test, source=origin, notes=tuple(notes), layout=layout, rules=rules,
            declared=said, people=people,
        )  # fmt: skip
        return plant(splits, own.canaries, seed)

    def typed(
        self, texts: pd.DataFrame, file: Dialect | FrameDtypes | None = None
    ) -> tuple[Table, FileLayout, NDArray[np.bool_], list[str]]:
        """What a text table is: its typed rows, the layout of its file, which rows were kept, (n,), and notes.

        `file`: how the file writes cells, or the dtypes of a data frame. Raises ConfigError or DataError with the fix.
        """
        return self._named(list(texts.columns))._typed(texts, file)[:4]

    def _typed(
        self, texts: pd.DataFrame, file: Dialect | FrameDtypes | None
    ) -> tuple[Table, FileLayout, NDArray[np.bool_], list[str], Declared]:
        """The same, and what the user, or the file's spelling, says about the columns that are learnt."""
        declared = self._declared(list(texts.columns))
        spelled, dtypes = self._spelled(texts, file, declared)
        kept, notes = self._rows(texts, spelled.gaps)
        notes = [*(file.notes if isinstance(file, Dialect) else ()), *spelled.notes, *notes]
        written = texts[kept].reset_index(drop=True)
        plain, gaps = spelled.texts[kept].reset_index(drop=True), spelled.gaps[kept].reset_index(drop=True)
        plain, gaps, markers, settled = settle_markers(plain, gaps, declared.kinds)
        layout, remarks = find_layout(
            plain, gaps, target=self.target, kinds=declared.kinds, identifiers=self.identifiers,
            free_text=self.free_text, release=[text_of(name) for name in self.release], doubts=spelled.doubts,
        )  # fmt: skip
        aside = {column.name for column in layout.asides}
        names = [name for name in layout.names if name not in aside]
        decided, doubts = self._decided(plain[names], gaps, spelled, dtypes, declared)
        said = replace(declared, kinds={**decided, **declared.kinds})
        frame, schema, typing = typed_table(
            plain[names], gaps[names], said, target=self.target, task=self.task, description=text_of(self.description)
        )
        self._check_labels(schema)
        if schema.has_target and not schema.features:
            fix = f"see why above, or learn {self.target!r} alone: dataset.target=null"
            raise DataError(f"no column but the target is left to learn from: {'; '.join(remarks)}\n  fix: {fix}")
        layout = replace(
            layout, spellings=tuple(spelled.spellings.items()), dtypes=dtypes,
            markers=tuple((name, texts) for name, texts in markers.items() if name not in aside),
            dialect=file if isinstance(file, Dialect) else None,
            guarded={name: frozenset(written.loc[~gaps[name], name]) for name in layout.guarded},
        )  # fmt: skip
        return Table(frame, schema), layout, kept, [*notes, *settled, *remarks, *doubts, *typing], said

    def _spelled(
        self, texts: pd.DataFrame, file: Dialect | FrameDtypes | None, declared: Declared
    ) -> tuple[Spelled, FrameDtypes | None]:
        """The file's texts as plain ones, and the dtypes of a data frame."""
        dtypes = file if isinstance(file, FrameDtypes) else None
        if self.formats not in FORMATS:
            raise unknown("dataset.formats", self.formats, "value", FORMATS)
        markers = marker_texts(self.missing_values)
        gaps = dtypes.gaps(texts) if dtypes else texts.isin(list(markers))
        kinds = dict(declared.kinds)
        if self.formats == "plain":
            kinds = dict.fromkeys(map(str, texts.columns), "category")
        elif dtypes is not None:  # the dtype says what a column is, except for strings
            kinds |= {str(c.name): "category" for c in dtypes.columns if c.nature not in ("string", "period")}
        for name, column in declared.columns.items():  # declared in full, and the texts are plain
            if all(map(column.accepts, texts.loc[~gaps[name], name].unique())):
                kinds[name] = "category"
        spelled = spell(
            texts, gaps, kinds=kinds, decimal=self.decimal, dates=self.dates, markers=bool(markers) and dtypes is None,
            delimiter=file.delimiter if isinstance(file, Dialect) else ",",
        )  # fmt: skip
        return spelled, dtypes

    def _decided(
        self, plain: pd.DataFrame, gaps: pd.DataFrame, spelled: Spelled, dtypes: FrameDtypes | None, declared: Declared
    ) -> tuple[dict[str, str], list[str]]:
        """The kinds that spellings, codes and dtypes decide, and notes; none if the formats are plain."""
        if self.formats == "plain":
            return {}, []
        return decide_kinds(plain, gaps, spelled, dtypes, declared=declared.kinds, target=self.target)

    def rules_of(
        self, train: Table, held_out: Sequence[Table] = (), declared: Declared | None = None
    ) -> tuple[Rules | None, list[str]]:
        """The rules that training rows keep and new rows must keep, as the setting `rules` says; and notes.

        Rules are found with the columns as the training rows show them. Their schema is that of all rows.
        """
        schema = training_schema(train, declared)
        rules, notes = kept_rules(self.rules, Table(schema.conform(train.frame), schema), held_out)
        return rules and replace(rules, schema=train.schema), notes

    def _named(self, names: list[str]) -> Dataset:
        """The same dataset, with the column names of the file: YAML reads some names as numbers or truth values."""
        target, group = (None if one is None else column_named(one, names) for one in (self.target, self.group))
        kinds: Any = columns_named(self.kinds, names) if isinstance(self.kinds, Mapping) else self.kinds
        return replace(self, target=target, group=group, kinds=kinds)

    def _declared(self, names: list[str]) -> Declared:
        """What the user says of the columns, in files and in `kinds`; `kinds` decides."""
        found = read_declared(self.columns, self.kinds, names)
        if self.group is not None and self.group != self.target:
            found.kinds.setdefault(self.group, "identifier")
        return found

    def _people(self, texts: pd.DataFrame, layout: FileLayout) -> tuple[NDArray[np.int64] | None, People | None]:
        """The person of each row as a number, (n,), and the number of people; None if every person has one row."""
        identifiers = [aside.name for aside in layout.asides if aside.role == "identifier"]
        return people_of(texts, self.group, identifiers, marker_texts(self.missing_values))

    def _read(self) -> tuple[pd.DataFrame, NDArray[np.int64] | None, str, Dialect | FrameDtypes | None]:
        """The whole table as text, each row's part (0 train, 1 val, 2 test) if given, the source, and the file."""
        if self.path is not None:
            path = text_of(self.path)
            texts, file = read_parquet(path) if is_parquet(path) else self._read_csv(path)
            return texts, None, f"file {path}", file
        if self.data_dir is not None:
            frames = read_given_splits(text_of(self.data_dir), self._own_name("data_dir"))
            part = np.repeat(np.arange(len(PARTS)), [len(frame) for frame in frames])
            return pd.concat(frames, ignore_index=True), part, f"given splits in {self.data_dir}/{self.label}/raw", None
        if self.source == "file":
            if self.name is None:
                raise ConfigError("dataset.path", "null", "no file is given", "dataset.path=table.csv")
            files = f"{self.name}/raw/{self.name}_train.csv"
            fix = f"name the folder that has {files}: data_dir=FOLDER; or a file: dataset.path=FILE.csv"
            raise ConfigError("dataset.path", "null", f"the rows of dataset {self.name} are not included", fix)
        if self.source == "openml":
            return self._download_openml(), None, f"openml {self.label}", None
        if self.source not in SOURCES:
            known = [*SOURCES, "openml", "file"]
            raise unknown("dataset.source", self.source, "source", known)
        return SOURCES[self.source](self._own_name("dataset.source")), None, f"{self.source} {self.label}", None

    def _drawn(
        self, texts: pd.DataFrame, given: NDArray[np.int64] | None, seed: int
    ) -> tuple[pd.DataFrame, NDArray[np.int64] | None, list[str]]:
        """`max_rows` of the rows, in their order, their parts, and a note; all of them where there are no more.

        Drawn before anything else is looked at, as if the file had no others.
        """
        if self.max_rows is None or len(texts) <= self.max_rows:
            return texts, given, []
        draw = np.random.default_rng(derive(seed if given is None else 0, "max_rows"))
        rows = np.sort(draw.choice(len(texts), self.max_rows, replace=False))
        note = f"{len(rows):,} of {len(texts):,} rows, drawn at random (dataset.max_rows)"
        return texts.iloc[rows].reset_index(drop=True), None if given is None else given[rows], [note]

    def _download_openml(self) -> pd.DataFrame:
        if self.openml is None:
            raise ConfigError(
                "dataset.openml", "null", "is not given", "dataset.openml=1590, or another table's number"
            )
        target = None if self.target is None else text_of(self.target)
        classes = {text_of(name): text_of(here) for name, here in (self.classes or {}).items()}
        return download_openml(self.openml, self._own_name("dataset.source"), target, classes)

    def _own_name(self, key: str) -> str:
        if self.name is None:
            problem = f"is not given, and {key} needs it"
            raise ConfigError("dataset.name", "null", problem, "dataset.name=adult, or another table's")
        return text_of(self.name)

    def _read_csv(self, path: str) -> tuple[pd.DataFrame, Dialect | FrameDtypes]:
        return read_csv(path, delimiter=self.delimiter, encoding=self.encoding, header=self.header)

    def _rows(self, texts: pd.DataFrame, gaps: pd.DataFrame) -> tuple[NDArray[np.bool_], list[str]]:
        """Which rows to use, (n,), and notes. Raises ConfigError or DataError as `missing` says."""
        anyhow = self.formats == "any"
        if anyhow and self.target in texts:
            refuse_classes(texts[self.target], gaps[self.target], self.missing_values, self.task)
        rows, notes = usable_rows(gaps, target=self.target, missing=self.missing)
        return rows, notes + (marker_notes(self.missing_values, texts) if anyhow else [])

    def _check_labels(self, schema: Schema) -> None:
        """Raises ConfigError if the words for the classes do not name exactly the classes of the target."""
        words = {text_of(name): words for name, words in (self.labels or {}).items()}
        if not schema.has_target:
            return
        classes = set(schema[schema.target].categories)
        if words and {str(value) for value in words} != classes:
            problem = f"the classes of {schema.target!r} are {sorted(classes)[:10]}"
            if not classes:
                problem = f"{schema.target!r} has no classes: the task is {schema.task}"
            fix = "give words for each of them, or none: dataset.labels=null"
            raise ConfigError("dataset.labels", dict(words), problem, fix)
