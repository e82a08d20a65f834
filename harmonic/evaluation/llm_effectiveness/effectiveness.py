"""How useful is the synthetic table for tuning a language model? LLM Effectiveness: tune on it, test on real rows.

The protocol of arXiv 2408.02927 (LLE): rows become questions in words. A language model is tuned on the questions about
the synthetic rows, and answers those about the real test rows.

    Predict whether the patient tests negative or positive for diabetes.
    The state of Pregnancies is 10.0, The state of Glucose is 68.0, …, The state of Age is 41.0.
    Answer: positive

From some hundred such questions, a small model on a laptop learns only which label is the most frequent. Lists of rows
teach it more in the same time (harmonic.evaluation.llm_effectiveness.row_lists).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.errors import ConfigError, DataError, unknown
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer, Shown
from harmonic.evaluation.comparison.encoding import FARTHEST, subsample, usable_rows
from harmonic.evaluation.llm_effectiveness.answering import (
    greedy_answers,
    in_all_tokens,
    label_log_likelihoods,
    tuned_on,
)
from harmonic.evaluation.llm_effectiveness.row_lists import FORMS, ListedModel, Lists, offsets
from harmonic.evaluation.llm_effectiveness.wording import Wording, whole_target
from harmonic.evaluation.utility.efficacy import SCORES
from harmonic.evaluation.utility.learners import Examples, Problem
from harmonic.llm.language_model import LanguageModel
from harmonic.prompts.chat import check_lengths
from harmonic.settings import Count, Fields, Text
from harmonic.tables.splits import Splits
from harmonic.tables.table import Table
from harmonic.tuning.settings import Tuning

DECODE = ("likelihood", "generate")
ALIKE = "all test rows got the same answer"
"""The note on every score of a model that gives all rows the same answer."""

_KEY = "evaluator.language_model_effectiveness"
_SLACK = 4  # a decoded answer may be this number of tokens longer than the longest one learnt


_SHOWN = (Shown("main", "LLE", 50, noted=True), Shown("summary", "LLE", 20))


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModelEffectiveness(Evaluator):
    """Scores of a language model tuned on the synthetic rows and tested on `splits.test`.

    `llm`: the pretrained model. `tuning`: fields of `harmonic.tuning.settings.Tuning`. `task_sentence`, `labels` and
    `words`: see Wording. `max_test_rows`: most test rows, drawn with the seed (None: all).

    `form`: "question" is the paper's: each row, in words, is one example. "list" writes rows in a short form, many in
    one example, and learns the label of each (harmonic.evaluation.llm_effectiveness.row_lists; `lists`: fields of Lists
    there). The predicted label is then the most likely one after offsets, with which labels are as frequent as in the
    synthetic rows. A predicted number is the mean of what its codes stand for, weighted by their probabilities.

    `decode`, for the form "question": "likelihood" takes the most likely label name, including the end of the answer,
    so every row gets a label. "generate" decodes greedily; an answer that is no label is missing, and wrong. A number
    is always decoded; a missing one counts as the mean of the synthetic target.

    If every test row got the same answer, the `notes` of all scores say so: they are the scores of a constant.

    Labels that the synthetic rows lack are never learnt, and count as errors.
    """

    llm: LanguageModel
    tuning: Annotated[dict[str, Any], Fields(Tuning)] = field(default_factory=dict)
    task_sentence: str | None = None
    labels: dict[Text, Text] | None = None
    words: dict[Text, dict[Text, Text]] | None = None
    form: str = "question"
    lists: Annotated[dict[str, Any], Fields(Lists)] = field(default_factory=dict)
    decode: str = "likelihood"
    max_test_rows: Count | None = None

    version: ClassVar[int] = 2
    takes_gaps: ClassVar[bool] = True
    needs_target: ClassVar[bool] = True
    metrics: ClassVar[tuple[Metric, ...]] = (
        *(
            replace(score, name=f"lle/{score.name}", meaning=f"{score.meaning}; tuned language model", shown=_SHOWN)
            for score in SCORES
        ),
        Metric("lle/missing", False, 0, 1, 0, "share of decoded answers that are no label or no number"),
    )  # fmt: skip

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Tune on `synthetic`, test on `splits.test`; `scorer` is not used.

        Raises ConfigError if a setting is invalid. If rows are too long for the model, the scores are NaN.
        """
        given, whole = splits.schema, whole_target(splits.train)
        splits = whole.splits(splits)
        wording = Wording(splits.schema, self.task_sentence, self.labels, self.words)
        self._check()
        wording.check_for(splits)
        measures, problem = Measures(), Problem.of(splits, features=[])
        names = [*problem.score_names, *(["missing"] if self._decodes(problem) else [])]
        try:
            rows = whole.frame(usable_rows(synthetic, given))
            if len(splits.test) == 0:
                raise DataError("the test split is empty")
            test = splits.test.take(subsample(len(splits.test), self.max_test_rows or len(splits.test), seed))
            ask = self._listed if self.form == "list" else self._asked
            scores, alike = ask(problem, wording, splits.train, rows, test.frame, seed)
        except (DataError, ConfigError) as error:
            if isinstance(error, ConfigError) and error.key != "llm.context":
                raise
            for name in names:
                measures.unavailable(f"lle/{name}", str(error).partition("\n")[0])
            return measures
        for name in names:
            if math.isfinite(scores[name]):
                measures[f"lle/{name}"] = scores[name]
                if alike:
                    measures.notes[f"lle/{name}"] = ALIKE
            elif name == "roc_auc" and self.decode == "generate":
                measures.unavailable("lle/roc_auc", "decoded labels have no scores; decode=likelihood has")
            else:
                measures.unavailable(f"lle/{name}", "undefined on these test rows: they are too few or all alike")
        return measures

    def _check(self) -> None:
        for name, known in (("form", FORMS), ("decode", DECODE)):
            value = getattr(self, name)
            if value not in known:
                raise unknown(f"{_KEY}.{name}", value, "choice", known)
        if self.form == "list":
            Lists(**self.lists).check(_KEY)
            if self.decode != "likelihood":
                problem = "lists are answered by likelihood"
                raise ConfigError(f"{_KEY}.decode", self.decode, problem, f"{_KEY}.form=question")

    def _decodes(self, problem: Problem) -> bool:
        return self.form == "question" and (self.decode == "generate" or not problem.classify)

    def _listed(
        self, problem: Problem, wording: Wording, train: Table, rows: pd.DataFrame, test: pd.DataFrame, seed: int
    ) -> Scored:
        """Scores on the test rows, by the model tuned on lists of `rows`."""
        from scipy.special import log_softmax

        lists = Lists(**self.lists)
        model = ListedModel.of(train, wording, rows, self.llm, Tuning(**self.tuning), lists, seed)
        known = rows.iloc[model.synthetic.asked(lists.calibration if problem.classify else 0)]
        found = model.log_likelihoods(pd.concat([test, known], ignore_index=True))
        asked, known_too = found[: len(test)], found[len(test) :]
        if problem.classify:
            predicted = log_softmax(asked + offsets(known_too, problem.label_shares(rows)), axis=1)
        else:
            numbers = np.exp(asked) @ model.synthetic.form.numbers(rows)
            predicted = (numbers - problem.center) / problem.scale
        return Scored(problem.scores(problem.examples(test), predicted), _alike(predicted))

    def _asked(
        self, problem: Problem, wording: Wording, train: Table, rows: pd.DataFrame, test: pd.DataFrame, seed: int
    ) -> Scored:
        """Scores on the test rows, by the model tuned on questions about `rows`."""
        settings = in_all_tokens(Tuning(**self.tuning))
        model, chat, _ = tuned_on(wording.examples(rows), self.llm, settings, seed=seed)
        questions = chat.prompts([example.prompt for example in wording.examples(test)])
        numbers = [] if wording.names else [example.completion for example in wording.examples(rows)]
        choices = chat.completions(wording.names or sorted(set(numbers)))
        room = max(map(len, choices)) + _SLACK
        lengths = [len(question) + room for question in questions]
        check_lengths(lengths, self.llm.max_tokens(model.config), what="the question about test row")
        truth = problem.examples(test)
        if not self._decodes(problem):
            likelihoods = label_log_likelihoods(model, questions, choices)
            return Scored(problem.scores(truth, likelihoods), _alike(likelihoods))
        answers = greedy_answers(model, chat, questions, room)
        read: list[Any] = [wording.label(answer) if problem.classify else wording.number(answer) for answer in answers]
        if problem.classify:
            return Scored(_label_scores(problem, truth, read), len(set(read)) == 1)
        return Scored(_number_scores(problem, truth, read, rows), len(set(read)) == 1)


class Scored(NamedTuple):
    """Scores by name, and whether every row got the same answer."""

    scores: dict[str, float]
    alike: bool


def _alike(predicted: NDArray[np.float64]) -> bool:
    """Whether a prediction, (rows, labels) or (rows,), is the same for every row."""
    answers = predicted.argmax(axis=1) if predicted.ndim == 2 else predicted
    return bool((answers == answers[0]).all())


def _label_scores(problem: Problem, truth: Examples, labels: Sequence[int | None]) -> dict[str, float]:
    """Scores of decoded labels. A missing one (None) counts as another label, which no row has."""
    count = len(problem.target.categories)
    positions = np.array([count if label is None else label for label in labels])
    scores = problem.scores(truth, np.eye(count + 1)[positions])
    # Macro F1 is a mean over the labels in the truth or in an answer, but without "missing".
    seen = len({*truth.target.tolist(), *positions.tolist()})
    if count in positions:
        scores["f1_macro"] *= seen / (seen - 1)
    return scores | {"roc_auc": math.nan, "missing": float((positions == count).mean())}


def _number_scores(
    problem: Problem, truth: Examples, numbers: Sequence[float | None], rows: pd.DataFrame
) -> dict[str, float]:
    """Scores of decoded numbers; a missing one (None) counts as the mean target of `rows`."""
    mean = float(rows[problem.target.name].mean())
    values = np.array([mean if number is None else number for number in numbers])
    standard = np.clip((values - problem.center) / problem.scale, -FARTHEST, FARTHEST)
    missing = sum(number is None for number in numbers) / len(numbers)
    return problem.scores(truth, standard) | {"missing": missing}
