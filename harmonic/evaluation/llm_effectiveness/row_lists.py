"""LLM Effectiveness on a laptop: lists of rows with their labels, and a loss on each label.

    Predict whether the patient tests negative or positive for diabetes.
    A Pregnancies, B Glucose, C BloodPressure, D SkinThickness, E Insulin, F BMI, …
    A4 B0 F3
    negative
    B4 E3 F4
    positive

A row takes about 15 tokens, and a question in words 80; a label is learnt for each row. To predict the label of a row,
the row is put at the end of a list of labelled synthetic rows (the model reads this list once for all rows). This is
done for several lists, and the log-likelihoods are averaged. From so few labels, a model mostly learns how frequent
they are: the most likely label would be the most frequent one for every row. So each label's log-likelihood gets an
offset, with which labels are predicted as often as they occur in the synthetic rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError
from harmonic.evaluation.llm_effectiveness.answering import Tuned, list_losses, tuned_on
from harmonic.evaluation.llm_effectiveness.short_rows import ShortRows
from harmonic.evaluation.llm_effectiveness.wording import Wording
from harmonic.llm.language_model import LanguageModel
from harmonic.prompts.chat import Chat
from harmonic.prompts.prompt import Part, Prompt
from harmonic.randomness import derive
from harmonic.settings import Count, Natural
from harmonic.tables.codes.quantiles import Bins
from harmonic.tables.table import Table
from harmonic.tuning.settings import Tuning

FORMS = ("question", "list")
"""How a row is written: alone and in words, as in the paper, or as one row of a list."""

TARGET_CODES = 10
"""Most codes of a number to predict."""

_SWEEPS = 50  # rounds over the labels to find offsets
_NEVER = -1e3  # nats: the offset of a label that no synthetic row has


@dataclass(frozen=True, kw_only=True)
class Lists:
    """Settings of lists.

    `rows`: most rows in a list. `features`: most features of a row; those with the most information about the target in
    the synthetic table are kept (20 columns take three times the tokens of 8, and most do not help a small model).
    `contexts`: lists with which each row is predicted. `calibration`: synthetic rows that are predicted to find the
    offsets (0: no offsets).
    """

    rows: Count = 32
    features: Count = 8
    contexts: Count = 2
    calibration: Natural = 120

    def check(self, key: str) -> None:
        """Raise ConfigError, with the name `key`.lists, if a setting is invalid."""
        for name, least in (("rows", 2), ("features", 1), ("contexts", 1), ("calibration", 0)):
            if getattr(self, name) < least:
                problem = f"must be at least {least}"
                raise ConfigError(f"{key}.lists.{name}", getattr(self, name), problem, f"{key}.lists.{name}={least}")


@dataclass(frozen=True, slots=True, eq=False)
class ListedRows:
    """A task as lists of rows: how rows are written, and which answers are possible.

    `choices`: the names of the labels, in the order of the target's categories; for a number its codes, in order of
    size. `bins`: those of the number.
    """

    wording: Wording
    short: ShortRows
    choices: list[str]
    bins: Bins | None

    @classmethod
    def of(cls, train: Table, wording: Wording) -> ListedRows:
        """Learn the codes from the training rows; all of them have a target."""
        short = ShortRows.of(train)
        if wording.names:
            return cls(wording, short, wording.names, None)
        known = train.target.to_numpy(np.float64)
        bins = Bins.of(train.schema[train.schema.target], known, codes=TARGET_CODES)
        width = len(str(len(bins.low) - 1))
        return cls(wording, short, [f"{place:0{width}d}" for place in range(len(bins.low))], bins)

    def narrowed(self, rows: pd.DataFrame, features: int) -> ListedRows:
        """The same with at most `features` features: those with the most information about the target."""
        return replace(self, short=self.short.most_telling(rows, self.targets(rows), features))

    def targets(self, frame: pd.DataFrame) -> NDArray[np.int64]:
        """Position of each row's target among the choices, (n,)."""
        column = self.wording.schema[self.wording.schema.target]
        if self.bins is not None:
            return self.bins.places(frame[column.name].to_numpy(np.float64))
        return pd.Index(column.categories).get_indexer(pd.Index(frame[column.name])).astype(np.int64)

    def numbers(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """The number for each code: the mean of these rows in its bin, or the middle of an empty bin, (choices,)."""
        assert self.bins is not None
        values, places = frame[self.bins.column.name].to_numpy(np.float64), self.targets(frame)
        middles = (self.bins.low + self.bins.high) / 2
        return np.array(
            [values[places == at].mean() if (places == at).any() else middles[at] for at in range(len(middles))]
        )

    def answers(self, frame: pd.DataFrame) -> list[str]:
        """Each row's label, or the code of its number."""
        return [self.choices[target] for target in self.targets(frame)]

    def prompt(self, lines: Sequence[str], answers: Sequence[str]) -> Prompt:
        """A list of labelled rows; each label is learnt."""
        parts = [Part(f"{line}\n") for line in (*self.wording.sentence.splitlines(), self.short.header)]
        for line, answer in zip(lines, answers, strict=True):
            parts += [Part(f"{line}\n"), Part(f"{answer}\n", learnt=True)]
        return Prompt(tuple(parts), document=True)


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticLists:
    """The synthetic rows as lists: for tuning, and as contexts for rows to predict.

    `lines`, `answers`: of all rows. `size`: rows in a list. `order`: the rows in random order.
    """

    form: ListedRows
    lines: list[str]
    answers: list[str]
    size: int
    order: NDArray[np.int64]
    seed: int

    @classmethod
    def of(
        cls, form: ListedRows, rows: pd.DataFrame, lists: Lists, chat: Chat, limit: int, seed: int
    ) -> SyntheticLists:
        """Lists of `lists.rows` rows, or fewer if rows are too long for the model, but at least one."""
        lines, answers = form.short.lines(rows), form.answers(rows)
        header = chat.lengths([form.prompt([], [])])[0]
        longest = max(map(len, chat.lines([*dict.fromkeys(lines)]))) + max(map(len, chat.lines(form.choices)))
        size = min(lists.rows, max((limit - header) // longest, 1), max(len(rows), 1))
        order = np.random.default_rng(derive(seed, "lle contexts")).permutation(len(rows))
        return cls(form, lines, answers, size, order, seed)

    def prompts(self, tuning: Tuning, chat: Chat) -> list[Prompt]:
        """Lists with each row `tuning.passes` times, up to `tuning.max_tokens`, but at least one list.

        Each time, the rows are distributed among lists at random.
        """
        found: list[Prompt] = []
        tokens, wanted = 0, math.ceil((tuning.passes or 1.0) * len(self.lines) / self.size)
        for chosen in self._drawn():
            prompt = self._list(chosen)
            tokens += chat.lengths([prompt])[0]
            if len(found) == wanted or (found and tuning.max_tokens is not None and tokens > tuning.max_tokens):
                return found
            found.append(prompt)
        return found

    def _drawn(self) -> Iterator[NDArray[np.int64]]:
        """The rows of one list after the other, without end."""
        generator = np.random.default_rng(derive(self.seed, "lle lists"))
        while True:
            order = generator.permutation(len(self.lines))
            yield from np.array_split(order, math.ceil(len(order) / self.size))

    def asked(self, calibration: int) -> NDArray[np.int64]:
        """The synthetic rows to predict, (at most `calibration`,); if there are enough, none is in a context."""
        return self.order[::-1][:calibration]

    def contexts(self, count: int) -> list[Prompt]:
        """The lists with which rows are predicted; if there are enough rows, none is in two lists."""
        shown = max(self.size - 1, 0)
        endless = np.resize(self.order, shown * count)
        return [self._list(endless[number * shown : (number + 1) * shown]) for number in range(count)]

    def _list(self, chosen: NDArray[np.int64]) -> Prompt:
        return self.form.prompt([self.lines[row] for row in chosen], [self.answers[row] for row in chosen])


def offsets(log_likelihoods: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """What to add to each label's log-likelihood so that the most likely labels have these shares, (labels,), nats.

    `log_likelihoods`: (rows, labels). `shares`: (labels,), with sum 1. Each label's offset in turn is set so that its
    share is right, given the offsets of the others, for several rounds; with two labels the first round is exact, up to
    one row. The largest offset is 0.
    """
    count, found = len(log_likelihoods), np.where(shares > 0, 0.0, _NEVER)
    known = np.flatnonzero(shares > 0)
    if count == 0 or len(known) < 2:
        return found
    for _ in range(_SWEEPS):
        before = found.copy()
        for label in known:
            others = np.delete(log_likelihoods + found, label, axis=1).max(axis=1)
            margins = np.sort(others - log_likelihoods[:, label])  # what this label lacks in each row, ascending
            taken = int(np.clip(round(shares[label] * count), 0, count))
            low = margins[taken - 1] if taken else margins[0] - 1.0
            high = margins[taken] if taken < count else margins[-1] + 1.0
            found[label] = (low + high) / 2
        found[known] -= found[known].max()
        if np.allclose(found, before, atol=1e-6):
            break
    return found


@dataclass(frozen=True, slots=True, eq=False)
class ListedModel:
    """A model tuned on lists of the synthetic rows, which predicts in the same form. `limit`: most tokens of a text."""

    synthetic: SyntheticLists
    tuned: Tuned
    lists: Lists
    limit: int

    @classmethod
    def of(
        cls,
        train: Table,
        wording: Wording,
        rows: pd.DataFrame,
        llm: LanguageModel,
        tuning: Tuning,
        lists: Lists,
        seed: int,
    ) -> ListedModel:
        """Tune on `rows`, with the codes of the training rows. Raises ConfigError if rows are too long."""
        chat, limit = Chat(llm.tokenizer()), llm.max_tokens(llm.config())
        form = ListedRows.of(train, wording).narrowed(rows, lists.features)
        synthetic = SyntheticLists.of(form, rows, lists, chat, limit, seed)
        tuned = tuned_on(synthetic.prompts(tuning, chat), llm, tuning, seed=seed)
        return cls(synthetic, tuned, lists, limit)

    def losses(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Negative log-likelihood of each row's own answer, as a mean over the contexts, (rows,), nats."""
        return self._losses(self.synthetic.form.short.lines(frame), self.synthetic.form.answers(frame)).mean(axis=0)

    def log_likelihoods(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Log-probability of each choice for each row, among the choices: (rows, choices), nats.

        The mean over the contexts, normalised again.
        """
        from scipy.special import log_softmax

        choices = self.synthetic.form.choices
        lines = [line for line in self.synthetic.form.short.lines(frame) for _ in choices]
        losses = self._losses(lines, choices * len(frame)).reshape(-1, len(frame), len(choices))
        return log_softmax(log_softmax(-losses, axis=2).mean(axis=0), axis=1)

    def _losses(self, lines: Sequence[str], answers: Sequence[str]) -> NDArray[np.float64]:
        contexts = self.synthetic.contexts(self.lists.contexts)
        return list_losses(self.tuned, contexts, lines, answers, self.limit)
