"""Is the synthetic table worth teaching to a language model? LLM Effectiveness: tune on it, test on real rows.

The protocol of arXiv 2408.02927 (LLE): the rows are put as questions in words, a language model is tuned on
those of the synthetic table, and answers those of the real test rows.

    Predict whether the patient tests negative or positive for diabetes.
    The state of Pregnancies is 10.0, The state of Glucose is 68.0, …, The state of Age is 41.0.
    Answer: positive
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from harmonic.dialogue import Dialogue, check_lengths
from harmonic.errors import ConfigError, DataError, suggest
from harmonic.evaluation.base import Evaluator, Measures, Metric, Scorer
from harmonic.evaluation.encoding import FARTHEST, subsample, usable_rows
from harmonic.evaluation.learners import Examples, Problem
from harmonic.evaluation.utility import SCORES
from harmonic.llm import LanguageModel
from harmonic.progress import Progress
from harmonic.prompts import Prompt
from harmonic.table import InvalidValue, Kind, Schema, Splits, Table
from harmonic.tuning import Tuning, load_tuned, tune

if TYPE_CHECKING:
    from transformers import PreTrainedModel

DECODE = ("likelihood", "generate")
_BATCH_ROWS = 32  # decoded at once
_SLACK = 4  # tokens that a decoded answer may be longer than the longest one learnt


@dataclass(frozen=True, slots=True)
class Wording:
    """The task in words. `labels`: words for each class; None: the classes themselves.

    `task_sentence` None: a plain sentence from the schema.
    """

    schema: Schema
    task_sentence: str | None = None
    labels: Mapping[str, str] | None = None

    @property
    def names(self) -> list[str]:
        """What the answer may be, in the order of the target's categories; none for a number."""
        return [(self.labels or {}).get(value, value) for value in self.schema[self.schema.target].categories]

    @property
    def sentence(self) -> str:
        """What is asked for, before the row's values."""
        if self.task_sentence:
            return self.task_sentence
        kinds = f": {' or '.join(self.names)}" if self.names else ", a number"
        return f"Predict the {self.schema.target} of a row of data about {self.schema.description}{kinds}."

    def examples(self, frame: pd.DataFrame) -> list[Prompt]:
        """Each row's question and its answer; the rows conform to the schema."""
        texts = Table(frame, self.schema).texts()
        named = dict(zip(self.schema[self.schema.target].categories, self.names, strict=True))
        features = [column.name for column in self.schema.features]
        examples = []
        for *values, target in texts[[*features, self.schema.target]].itertuples(index=False, name=None):
            states = ", ".join(f"The state of {name} is {value}" for name, value in zip(features, values, strict=True))
            examples.append(Prompt(f"{self.sentence}\n{states}.\nAnswer: ", named.get(target, target)))
        return examples

    def label(self, answer: str) -> int | None:
        """Position of the name that the answer begins with, the longest if several do; case does not matter."""
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
            return float(target.parse(words[0])) if words else None
        except InvalidValue:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModelEffectiveness(Evaluator):
    """Scores of a language model tuned on the synthetic rows and tested on `splits.test`.

    llm: the pretrained model; `tuning`: fields of `harmonic.tuning.Tuning`. `task_sentence` and `labels`: see
    Wording. `max_test_rows` caps the test rows by a seeded draw (None: all).

    decode "likelihood" takes the label whose name, with the end of the answer, is the likeliest; every row has
    one. "generate" decodes greedily; an answer that names no label is missing, and wrong. A number is always
    decoded; a missing one counts as the mean of the synthetic target.

    Labels that the synthetic rows lack are never learnt, and count as errors. A synthetic table with one label
    is worth what the model tuned on it is worth.
    """

    llm: LanguageModel
    tuning: dict[str, Any] = field(default_factory=dict)
    task_sentence: str | None = None
    labels: dict[str, str] | None = None
    decode: str = "likelihood"
    max_test_rows: int | None = None

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
        wording = Wording(splits.schema, self.task_sentence, self.labels)
        self._check(wording)
        measures, problem = Measures(), Problem.of(splits)
        names = [*problem.score_names, *(["missing"] if self._decodes(problem) else [])]
        try:
            rows = usable_rows(synthetic, splits.schema)
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

    def _check(self, wording: Wording) -> None:
        if self.decode not in DECODE:
            key = "evaluator.language_model_effectiveness.decode"
            raise ConfigError(key, self.decode, "is not a way to decode", suggest(str(self.decode), DECODE))
        if len(set(wording.names)) < len(wording.names):
            fix = "give each class words of its own, or dataset.labels=null"
            raise ConfigError("dataset.labels", self.labels, "two classes have the same words", fix)

    def _decodes(self, problem: Problem) -> bool:
        return self.decode == "generate" or not problem.classify

    def _scores(
        self, problem: Problem, wording: Wording, rows: pd.DataFrame, test: pd.DataFrame, seed: int
    ) -> dict[str, float]:
        """Scores by name on the test rows of the model tuned on `rows`."""
        model, dialogue = self._tuned(wording.examples(rows), seed)
        questions = dialogue.prompts([example.prompt for example in wording.examples(test)])
        numbers = [] if wording.names else [example.completion for example in wording.examples(rows)]
        choices = dialogue.completions(wording.names or sorted(set(numbers)))
        room = max(map(len, choices)) + _SLACK
        lengths = [len(question) + room for question in questions]
        check_lengths(lengths, self.llm.max_tokens(model.config), what="the question about test row")
        truth = problem.examples(test)
        if not self._decodes(problem):
            return problem.scores(truth, label_log_likelihoods(model, questions, choices))
        answers = greedy_answers(model, dialogue, questions, room)
        if not problem.classify:
            return _number_scores(problem, truth, [wording.number(answer) for answer in answers], rows)
        return _label_scores(problem, truth, [wording.label(answer) for answer in answers])

    def _tuned(self, examples: list[Prompt], seed: int) -> tuple[PreTrainedModel, Dialogue]:
        """The model tuned on the examples; its files are gone."""
        with TemporaryDirectory(prefix="lle-") as folder:
            settings = Tuning(**self.tuning)
            tune(self.llm, examples, settings, seed=seed, directory=Path(folder), stage="tune lle")
            model, tokenizer = load_tuned(self.llm, Path(folder) / "adapter")
        return model, Dialogue(tokenizer)


def label_log_likelihoods(
    model: PreTrainedModel, questions: Sequence[list[int]], labels: Sequence[list[int]]
) -> NDArray[np.float64]:
    """Log-probability of each label behind each question, among the labels: (questions, labels), nats.

    All are token ids; a label's likelihood is the product over its tokens, the end of the answer among them.
    """
    from scipy.special import log_softmax

    from harmonic.scoring import pairs_nll

    prompts = [question for question in questions for _ in labels]
    totals = pairs_nll(model, prompts, [*labels] * len(questions), stage="lle")
    return log_softmax(-totals.reshape(len(questions), len(labels)), axis=1)


def greedy_answers(
    model: PreTrainedModel, dialogue: Dialogue, questions: Sequence[list[int]], max_new_tokens: int
) -> list[str]:
    """The text behind each question (token ids), the likeliest token at each step; "…" ends one that was cut off."""
    import torch

    order = sorted(range(len(questions)), key=lambda index: len(questions[index]))
    answers = [""] * len(questions)
    with torch.inference_mode(), Progress("lle", len(questions), "rows") as progress:
        for start in range(0, len(order), _BATCH_ROWS):
            batch = order[start : start + _BATCH_ROWS]
            longest = len(questions[batch[-1]])
            gaps = [longest - len(questions[index]) for index in batch]
            ids = [[dialogue.end] * gap + questions[index] for gap, index in zip(gaps, batch, strict=True)]
            real = [[0] * gap + [1] * (longest - gap) for gap in gaps]
            written = model.generate(
                torch.tensor(ids, device=model.device),
                attention_mask=torch.tensor(real, device=model.device),
                max_new_tokens=max_new_tokens,
                eos_token_id=dialogue.end,
                pad_token_id=dialogue.end,
                do_sample=False,
                **dict.fromkeys(("temperature", "top_p", "top_k")),  # what the model came with is for sampling
            )
            for index, tokens in zip(batch, written[:, longest:].tolist(), strict=True):
                answers[index] = dialogue.text(tokens) + ("" if dialogue.end in tokens else "…")
            progress.advance(len(batch))
    return answers


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
