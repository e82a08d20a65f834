"""A table's rows as questions in words, for LLM Effectiveness (arXiv 2408.02927).

The task sentence, then "The state of {column} is {value}, " for each column, then "Answer: ", and the label.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import pandas as pd

from harmonic.errors import ConfigError, unknown
from harmonic.prompts.prompt import Prompt, asked
from harmonic.tables.missing_values import MISSING, Imputation
from harmonic.tables.splits import Splits
from harmonic.tables.table import InvalidValue, Kind, Schema, Table


@dataclass(frozen=True, slots=True)
class Wording:
    """The task in words. `labels`: words for each class; None: the classes themselves.

    `task_sentence`: None makes a sentence from the schema. `words`: words for values that are codes, {column: {value:
    words}}; other values are written unchanged.
    """

    schema: Schema
    task_sentence: str | None = None
    labels: Mapping[str, str] | None = None
    words: Mapping[str, Mapping[str, str]] | None = None

    def check(self, columns: Collection[str]) -> None:
        """Raise ConfigError if two classes, or two values of a column, have the same words.

        `columns`: those of the file (the schema may lack some); words for another column are an error.
        """
        if len(set(self.names)) < len(self.names):
            fix = "give each class words of its own, or dataset.labels=null"
            raise ConfigError("dataset.labels", self.labels, "two classes have the same words", fix)
        for name, words in (self.words or {}).items():
            if name not in columns:
                raise unknown("dataset.words", f"{{{name}: ...}}", "column", columns, name=name)
            if len(set(words.values())) < len(words):
                problem = f"two values of {name!r} have the same words"
                raise ConfigError("dataset.words", words, problem, "give each value words of its own")

    def check_for(self, splits: Splits) -> None:
        """`check` with the columns of the file that the splits came from."""
        self.check(splits.layout.names if splits.layout else splits.schema.names)

    @property
    def names(self) -> list[str]:
        """The possible answers, in the order of the target's categories; empty for a number."""
        return [(self.labels or {}).get(value, value) for value in self.schema[self.schema.target].categories]

    @property
    def sentence(self) -> str:
        """The sentence before the row's values: the task."""
        if self.task_sentence:
            return self.task_sentence
        kinds = f": {' or '.join(self.names)}" if self.names else ", a number"
        return f"Predict the {self.schema.target} of a row of data about {self.schema.description}{kinds}."

    def examples(self, frame: pd.DataFrame) -> list[Prompt]:
        """Each row's question and its answer; the rows conform to the schema."""
        texts = Table(frame, self.schema).texts()
        named = dict(zip(self.schema[self.schema.target].categories, self.names, strict=True))
        features = [column.name for column in self.schema.features]
        for column in self.schema.features:
            words = {**({"": MISSING} if column.missing == "" else {}), **(self.words or {}).get(column.name, {})}
            if words:
                texts[column.name] = texts[column.name].map(lambda text, words=words: words.get(text, text))
        examples = []
        for *values, target in texts[[*features, self.schema.target]].itertuples(index=False, name=None):
            states = ", ".join(f"The state of {name} is {value}" for name, value in zip(features, values, strict=True))
            examples.append(asked(f"{self.sentence}\n{states}.\nAnswer: ", named.get(target, target)))
        return examples

    def label(self, answer: str) -> int | None:
        """Position of the name that the answer begins with, the longest if there are several; case does not matter."""
        found = None
        for position, name in enumerate(self.names):
            rest = answer.strip()[len(name) :]
            if answer.strip().casefold().startswith(name.casefold()) and not (rest[:1].isalnum() or rest[:1] == "_"):
                found = position if found is None or len(name) > len(self.names[found]) else found
        return found

    def number(self, answer: str) -> float | None:
        """The number that the answer begins with."""
        words = answer.split()
        target = replace(self.schema[self.schema.target], kind=Kind.FLOAT, decimals=20)
        try:
            value = target.parse(words[0]) if words else None
        except InvalidValue:
            return None
        return None if value is None else float(value)


def whole_target(train: Table) -> Imputation:
    """Imputes the target only: a missing target becomes a class of its own, or the median.

    Features do not change: a question writes dates as dates, and says which values are missing.
    """
    schema = train.schema if train.schema.has_target else Imputation.of(train).imputed
    return Imputation.of(train, only=(schema.target,))
