"""Is the synthetic table worth teaching to a language model? LLM Effectiveness: tune on it, test on real rows.

The protocol of arXiv 2408.02927 (LLE): the rows are put as questions in words, a language model is tuned on
those of the synthetic table, and answers those of the real test rows.

    Predict whether the patient tests negative or positive for diabetes.
    The state of Pregnancies is 10.0, The state of Glucose is 68.0, …, The state of Age is 41.0.
    Answer: positive
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd

from harmonic.errors import ConfigError, DataError, suggest
from harmonic.evaluation.answering import greedy_answers, label_log_likelihoods, tuned_on
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer
from harmonic.evaluation.encoding import FARTHEST, subsample, usable_rows
from harmonic.evaluation.learners import Examples, Problem
from harmonic.evaluation.utility import SCORES
from harmonic.evaluation.wording import Wording, whole_target
from harmonic.llm import LanguageModel
from harmonic.prompts.chat import check_lengths
from harmonic.settings import Count, Fields, Text
from harmonic.tables.table import Splits, Table
from harmonic.tuning.settings import Tuning

DECODE = ("likelihood", "generate")
_SLACK = 4  # tokens that a decoded answer may be longer than the longest one learnt


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModelEffectiveness(Evaluator):
    """Scores of a language model tuned on the synthetic rows and tested on `splits.test`.

    llm: the pretrained model; `tuning`: fields of `harmonic.tuning.lora.Tuning`. `task_sentence`, `labels` and `words`:
    see Wording. `max_test_rows` caps the test rows by a seeded draw (None: all).

    decode "likelihood" takes the label whose name, with the end of the answer, is the likeliest; every row has
    one. "generate" decodes greedily; an answer that names no label is missing, and wrong. A number is always
    decoded; a missing one counts as the mean of the synthetic target.

    Labels that the synthetic rows lack are never learnt, and count as errors. A synthetic table with one label
    is worth what the model tuned on it is worth.
    """

    llm: LanguageModel
    tuning: Annotated[dict[str, Any], Fields(Tuning)] = field(default_factory=dict)
    task_sentence: str | None = None
    labels: dict[Text, Text] | None = None
    words: dict[Text, dict[Text, Text]] | None = None
    decode: str = "likelihood"
    max_test_rows: Count | None = None

    version: ClassVar[int] = 1
    takes_gaps: ClassVar[bool] = True
    needs_target: ClassVar[bool] = True
    metrics: ClassVar[tuple[Metric, ...]] = (
        *(
            replace(score, name=f"lle/{score.name}", meaning=f"{score.meaning}; tuned language model")
            for score in SCORES
        ),
        Metric("lle/missing", False, 0, 1, 0, "share of decoded answers that name no label, or are no number"),
    )

    def evaluate(self, splits: Splits, synthetic: Table, *, seed: int, scorer: Scorer | None = None) -> Measures:
        """Tune on `synthetic`, test on `splits.test`; `scorer` is not used.

        Raises ConfigError for settings that cannot be. Rows too long for the model give NaN.
        """
        given, whole = splits.schema, whole_target(splits.train)
        splits = whole.splits(splits)
        wording = Wording(splits.schema, self.task_sentence, self.labels, self.words)
        self._check_decode()
        wording.check_for(splits)
        measures, problem = Measures(), Problem.of(splits, features=[])
        names = [*problem.score_names, *(["missing"] if self._decodes(problem) else [])]
        try:
            rows = whole.frame(usable_rows(synthetic, given))
            if len(splits.test) == 0:
                raise DataError("the test split is empty")
            test = splits.test.take(subsample(len(splits.test), self.max_test_rows or len(splits.test), seed))
            scores = self._scores(problem, wording, rows, test.frame, seed)
        except (DataError, ConfigError) as error:
            if isinstance(error, ConfigError) and error.key != "llm.context":
                raise
            for name in names:
                measures.unavailable(f"lle/{name}", str(error).partition("\n")[0])
            return measures
        for name in names:
            if math.isfinite(scores[name]):
                measures[f"lle/{name}"] = scores[name]
            elif name == "roc_auc" and self.decode == "generate":
                measures.unavailable("lle/roc_auc", "a decoded label has no degree; decode=likelihood has")
            else:
                measures.unavailable(f"lle/{name}", "undefined on these test rows: they are too few or all alike")
        return measures

    def _check_decode(self) -> None:
        if self.decode not in DECODE:
            key = "evaluator.language_model_effectiveness.decode"
            raise ConfigError(key, self.decode, "is not a way to decode", suggest(str(self.decode), DECODE))

    def _decodes(self, problem: Problem) -> bool:
        return self.decode == "generate" or not problem.classify

    def _scores(
        self, problem: Problem, wording: Wording, rows: pd.DataFrame, test: pd.DataFrame, seed: int
    ) -> dict[str, float]:
        """Scores by name on the test rows of the model tuned on `rows`."""
        model, chat = tuned_on(wording.examples(rows), self.llm, Tuning(**self.tuning), seed=seed)
        questions = chat.prompts([example.prompt for example in wording.examples(test)])
        numbers = [] if wording.names else [example.completion for example in wording.examples(rows)]
        choices = chat.completions(wording.names or sorted(set(numbers)))
        room = max(map(len, choices)) + _SLACK
        lengths = [len(question) + room for question in questions]
        check_lengths(lengths, self.llm.max_tokens(model.config), what="the question about test row")
        truth = problem.examples(test)
        if not self._decodes(problem):
            return problem.scores(truth, label_log_likelihoods(model, questions, choices))
        answers = greedy_answers(model, chat, questions, room)
        if not problem.classify:
            return _number_scores(problem, truth, [wording.number(answer) for answer in answers], rows)
        return _label_scores(problem, truth, [wording.label(answer) for answer in answers])


def _label_scores(problem: Problem, truth: Examples, labels: Sequence[int | None]) -> dict[str, float]:
    """Scores of decoded labels, None where one is missing: a label of its own, which no row has."""
    count = len(problem.target.categories)
    positions = np.array([count if label is None else label for label in labels])
    scores = problem.scores(truth, np.eye(count + 1)[positions])
    # Macro F1 is a mean over the labels seen, in the truth or in an answer; none of them is "missing".
    seen = len({*truth.target.tolist(), *positions.tolist()})
    if count in positions:
        scores["f1_macro"] *= seen / (seen - 1)
    return scores | {"roc_auc": math.nan, "missing": float((positions == count).mean())}


def _number_scores(
    problem: Problem, truth: Examples, numbers: Sequence[float | None], rows: pd.DataFrame
) -> dict[str, float]:
    """Scores of decoded numbers; a missing one (None) is filled in with the mean of `rows`' target."""
    mean = float(rows[problem.target.name].mean())
    values = np.array([mean if number is None else number for number in numbers])
    standard = np.clip((values - problem.center) / problem.scale, -FARTHEST, FARTHEST)
    missing = sum(number is None for number in numbers) / len(numbers)
    return problem.scores(truth, standard) | {"missing": missing}
