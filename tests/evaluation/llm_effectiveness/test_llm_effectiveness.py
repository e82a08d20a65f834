"""LLM Effectiveness: the questions, the choice of a label, decoding, and a tiny model that really learns."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from harmonic.errors import ConfigError
from harmonic.evaluation.llm_effectiveness import effectiveness as module
from harmonic.evaluation.llm_effectiveness.answering import Tuned, greedy_answers, label_log_likelihoods
from harmonic.evaluation.llm_effectiveness.effectiveness import ALIKE, LanguageModelEffectiveness
from harmonic.evaluation.llm_effectiveness.wording import Wording, whole_target
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.chat import Chat
from harmonic.tables.splits import Splits
from harmonic.tables.table import Column, Kind, Schema, Table, Task

CONF = Path(__file__).parents[3] / "conf"
MODULES = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TUNING = {"epochs": 4, "learning_rate": 1e-2, "batch_size": 8, "device_batch_size": 8, "dropout": 0.0}


class Responsive(TinyModel):
    """Random weights large enough that the input shows in the output: it learns in some forty steps."""

    def load(self):
        model, tokenizer = super().load()
        with torch.no_grad():
            for weights in model.parameters():
                weights.mul_(5 if weights.ndim == 2 else 1)
        return model, tokenizer


def tiny(**settings):
    return Responsive(name="tiny", dtype="float32", device="cpu", target_modules=MODULES, **settings)


def evaluator(**settings):
    settings = {"llm": tiny(), "tuning": TUNING | {"checkpoint_every": None}, "task_sentence": "Which?", **settings}
    return LanguageModelEffectiveness(**settings)


def separable(numeric, labels=("no", "yes"), n=160):
    """One feature, a row of "x" or of "y", which decides the target: a label, or 1 and 7."""
    kind = np.random.default_rng(0).integers(2, size=n)
    frame = pd.DataFrame({"sign": np.array(["x" * 40, "y" * 40], dtype=object)[kind]})
    frame["target"] = np.array([1, 7])[kind] if numeric else np.array(labels, dtype=object)[kind]
    sign = Column(name="sign", kind=Kind.CATEGORY, categories=("x" * 40, "y" * 40))
    target = Column(name="target", kind=Kind.INTEGER) if numeric else None
    target = target or Column(name="target", kind=Kind.CATEGORY, categories=labels)
    task = Task.REGRESSION if numeric else Task.BINARY
    schema = Schema(columns=(sign, target), target="target", task=task, description="signs")
    table = Table(schema.conform(frame), schema)
    return Splits(table.take(range(80)), table.take(range(80, 100)), table.take(range(100, n)))


@pytest.fixture
def untuned(monkeypatch):
    """Leave out the tuning: the pretrained model answers."""

    def loaded(_, llm, __, *, seed):
        model, tokenizer = llm.load()
        return Tuned(model, Chat(tokenizer))

    monkeypatch.setattr(module, "tuned_on", loaded)


@pytest.fixture
def answering(untuned, monkeypatch):
    """Let the model answer with these texts."""

    def answer(*texts):
        monkeypatch.setattr(module, "greedy_answers", lambda _, __, questions, ___: [*texts][: len(questions)])

    return answer


# ---- the questions


def test_a_row_is_put_in_words(toy):
    row = toy.train.frame.iloc[[0]].assign(age=41, income=28.5, city="cork", label="yes")
    wording = Wording(toy.schema, "Will they pay?", {"no": "bad", "yes": "good"})
    (example,) = wording.examples(row)
    assert example.prompt == (
        "Will they pay?\nThe state of age is 41, The state of income is 28.5, The state of city is cork.\nAnswer: "
    )
    assert example.completion == "good"


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (None, "Predict the label of a row of data about toys: no or yes."),
        ({"no": "bad", "yes": "good"}, "Predict the label of a row of data about toys: bad or good."),
    ],
)
def test_without_a_task_sentence_the_schema_gives_one(toy, labels, sentence):
    assert Wording(toy.schema, None, labels).examples(toy.train.frame)[0].prompt.startswith(sentence + "\n")


def test_a_number_is_asked_for_and_answered_in_its_own_text(diabetes_progression):
    wording = Wording(diabetes_progression.schema)
    (example,) = wording.examples(diabetes_progression.train.frame.iloc[[0]])
    assert example.prompt.startswith("Predict the target of a row of data about toys, a number.\nThe state of age is ")
    assert example.completion == str(diabetes_progression.train.frame["target"].iloc[0])


def test_codes_are_spelt_out_and_what_has_no_words_stands_as_it_is(toy):
    row = toy.train.frame.iloc[[0, 0]].assign(age=41, income=28.5, city=["cork", "oslo"], label="yes")
    wording = Wording(toy.schema, "Will they pay?", words={"city": {"cork": "a town", "rome": "a city"}})
    assert [example.prompt.rpartition("city is ")[2] for example in wording.examples(row)] == [
        "a town.\nAnswer: ",
        "oslo.\nAnswer: ",
    ]
    assert wording.examples(row)[0].completion == "yes"


def with_gaps(rows=40):
    """A date and a number with gaps, and a target that some rows lack."""
    day = Column(name="day", kind=Kind.INTEGER, date_format="%Y-%m-%d")
    age = Column(name="age", kind=Kind.INTEGER, missing="")
    target = Column(name="target", kind=Kind.CATEGORY, categories=("no", "yes"), missing="?")
    schema = Schema(columns=(day, age, target), target="target", task=Task.BINARY, description="visits")
    cells = {"day": np.arange(rows), "age": [np.nan, 41.0] * (rows // 2), "target": ["no", "yes", None, "no"]}
    frame = pd.DataFrame(cells | {"target": cells["target"] * (rows // 4)})
    table = Table(schema.conform(frame), schema)
    return Splits(table.take(range(rows // 2)), table.take(range(rows // 2, rows)), table.take(range(rows // 2, rows)))


def test_dates_and_gaps_are_put_in_words():
    splits = with_gaps()
    whole = whole_target(splits.train)
    first, second, third, _ = Wording(whole.imputed).examples(whole.frame(splits.train.frame.iloc[:4]))
    assert first.prompt.endswith("The state of day is 1970-01-01, The state of age is missing.\nAnswer: ")
    assert second.prompt.endswith("The state of day is 1970-01-02, The state of age is 41.\nAnswer: ")
    assert (first.completion, second.completion, third.completion) == ("no", "yes", "missing")


def test_a_gap_has_the_words_that_it_is_given():
    splits = with_gaps()
    whole = whole_target(splits.train)
    wording = Wording(whole.imputed, words={"age": {"": "not recorded", "41": "middle age"}})
    told = [
        example.prompt.rpartition("age is ")[2] for example in wording.examples(whole.frame(splits.train.frame[:2]))
    ]
    assert told == ["not recorded.\nAnswer: ", "middle age.\nAnswer: "]


@pytest.mark.parametrize("has_target", [True, False])
def test_a_missing_number_to_be_answered_is_the_median_and_no_feature_says_so(has_target):
    value = Column(name="value", kind=Kind.INTEGER, missing="")
    near = Column(name="near", kind=Kind.INTEGER, missing="NA")
    task = Task.REGRESSION if has_target else Task.NONE
    schema = Schema(columns=(near, value), target="value" if has_target else "", task=task, description="values")
    table = Table(schema.conform(pd.DataFrame({"near": [1, None, 3], "value": [5, None, 9]})), schema)
    whole = whole_target(table)
    _, gap, _ = Wording(whole.imputed).examples(whole.frame(table.frame))
    assert gap.prompt.endswith("The state of near is NA.\nAnswer: ") and gap.completion == "7"


def test_a_table_with_gaps_and_dates_is_scored(untuned, assert_sound):
    splits = with_gaps()
    measures = evaluator(decode="likelihood").evaluate(splits, splits.train, seed=0)
    assert_sound(evaluator(), measures)
    assert 0 <= measures["lle/accuracy"] <= 1 and np.isfinite(measures["lle/roc_auc"])


@pytest.mark.parametrize(
    ("answer", "position"),
    [
        ("low", 0), (" Low.", 0), ("low risk", 0), ("very low", 1), ("very low…", 1), ("VERY LOW", 1), ("<=50K", 2),
        ("", None), ("lower", None), ("very", None), ("not low", None), ("low_", None), ("…", None),
    ],
)  # fmt: skip
def test_an_answer_names_the_label_it_begins_with(answer, position):
    column = Column(name="t", kind=Kind.CATEGORY, categories=("<=50K", "low", "very low"))
    schema = Schema(columns=(column,), target="t", task=Task.MULTICLASS, description="")
    expected = None if position is None else ("low", "very low", "<=50K")[position]
    found = Wording(schema).label(answer)
    assert (None if found is None else column.categories[found]) == expected


@pytest.mark.parametrize(
    ("answer", "number"),
    [("9", 9), (" 9.5 rings", 9.5), ("-1e3", -1000), ("1.7e308", 1.7e308), ("", None), ("nine", None), ("99…", None)],
)
def test_an_answer_is_the_number_it_begins_with(answer, number):
    assert Wording(separable(numeric=True).schema).number(answer) == number


# ---- tuned for real


def test_a_model_tuned_on_separable_rows_labels_the_test_rows(assert_sound):
    splits = separable(numeric=False)
    measures = evaluator().evaluate(splits, splits.train, seed=0)
    assert_sound(evaluator(), measures)
    assert measures["lle/accuracy"] > 0.9  # chance is 0.5
    assert measures["lle/roc_auc"] > 0.9
    assert not measures.notes
    names = ("f1_macro", "f1_weighted", "f1_binary", "accuracy", "mcc", "roc_auc")
    assert set(measures) == {f"lle/{name}" for name in names}


def test_questions_are_answered_in_all_tokens_whatever_lists_are_tuned_with():
    splits, few = separable(numeric=False), TUNING | {"checkpoint_every": None, "epochs": 1}
    first, second = (
        evaluator(tuning=few | {"vocabulary": name}).evaluate(splits, splits.train, seed=0)
        for name in ("all", "occurring")
    )
    assert first == second


def test_a_tuned_model_writes_the_labels_by_itself(assert_sound):
    splits = separable(numeric=False)
    decoding = evaluator(decode="generate")
    measures = decoding.evaluate(splits, splits.train, seed=0)
    assert_sound(decoding, measures)
    assert measures["lle/accuracy"] > 0.9
    assert measures["lle/missing"] == 0


def test_a_model_tuned_on_separable_rows_predicts_their_numbers(assert_sound):
    splits = separable(numeric=True)
    numeric = evaluator(llm=tiny(hidden_size=128))
    measures = numeric.evaluate(splits, splits.train, seed=0)
    assert_sound(numeric, measures)
    assert measures["lle/r2"] > 0.8
    assert measures["lle/missing"] == 0
    assert set(measures) == {"lle/r2", "lle/rmse", "lle/mae", "lle/missing"}


def test_one_label_is_learnt_as_the_answer_to_everything(assert_sound):
    splits = separable(numeric=False)
    constant = Table(splits.train.frame.assign(target="yes"), splits.schema)
    measures = evaluator().evaluate(splits, constant, seed=0)
    assert_sound(evaluator(), measures)
    assert measures["lle/accuracy"] == (splits.test.target == "yes").mean()
    assert measures["lle/mcc"] == 0
    assert measures.notes == dict.fromkeys(measures, ALIKE)


def test_one_row_can_be_tuned_on(assert_sound):
    splits = separable(numeric=False)
    measures = evaluator(max_test_rows=4).evaluate(splits, splits.train.take([0]), seed=0)
    assert_sound(evaluator(), measures)
    assert np.isfinite(measures["lle/accuracy"])


# ---- labels by likelihood


def test_the_likeliest_label_is_that_of_one_pass_for_each(toy):
    model, tokenizer = tiny().load()
    chat = Chat(tokenizer)
    wording = Wording(toy.schema, None, {"no": "surely not", "yes": "of course"})
    questions = chat.prompts([example.prompt for example in wording.examples(toy.test.frame.iloc[:12])])
    choices = chat.completions(wording.names)
    expected = np.empty((12, 2))
    for row, question in enumerate(questions):
        for position, choice in enumerate(choices):
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([question + choice])).logits[0, len(question) - 1 : -1]
            logs = logits.double().log_softmax(dim=-1)
            expected[row, position] = sum(logs[place, token].item() for place, token in enumerate(choice))
    found = label_log_likelihoods(model, questions, choices)
    assert found[:, 1] - found[:, 0] == pytest.approx(expected[:, 1] - expected[:, 0], abs=1e-4)
    assert np.exp(found).sum(axis=1) == pytest.approx(1)
    assert choices[0][-1] == choices[1][-1] == chat.end


# ---- labels and numbers by decoding


def test_greedy_answers_take_the_likeliest_token_whatever_stands_beside_them():
    model, tokenizer = tiny().load()
    chat = Chat(tokenizer)
    questions = chat.prompts(["a", "quite a long question", "b c"])
    expected = []
    for question in questions:
        ids = list(question)
        with torch.inference_mode():
            for _ in range(6):
                ids.append(int(model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()))
        answer = ids[len(question) :]
        whole = chat.end in answer
        expected.append(chat.text(answer[: answer.index(chat.end)] if whole else answer) + "…" * (not whole))
    assert greedy_answers(model, chat, questions, 6) == expected


def test_an_answer_ends_at_the_end_token():
    model, tokenizer = tiny().load()
    tokenizer.chat_template = None  # which would say how an answer ends
    questions = Chat(tokenizer).prompts(["a"])
    with torch.no_grad():
        model.lm_head.weight.zero_()  # all tokens alike: the first, "!", is taken
    assert greedy_answers(model, Chat(tokenizer), questions, 3) == ["!!!…"]
    tokenizer.eos_token = "!"
    assert greedy_answers(model, Chat(tokenizer), questions, 3) == [""]


def test_missing_answers_are_counted_and_wrong(toy, answering, assert_sound):
    test = toy.test.take(
        np.flatnonzero(toy.test.target == "yes")[:2].tolist() + np.flatnonzero(toy.test.target == "no")[:2].tolist()
    )
    answering("yes", "maybe", "no", "perhaps")
    decoding = evaluator(decode="generate")
    measures = decoding.evaluate(Splits(toy.train, toy.val, test), toy.train, seed=0)
    assert_sound(decoding, measures)
    assert measures["lle/missing"] == 0.5
    assert measures["lle/accuracy"] == 0.5
    for name in ("f1_macro", "f1_weighted", "f1_binary"):  # both labels: precision 1, recall 1/2
        assert measures[f"lle/{name}"] == pytest.approx(2 / 3)
    assert "decode=likelihood" in measures.reasons["lle/roc_auc"]


@pytest.mark.parametrize("numeric", [False, True])
def test_no_answer_at_all_is_worth_nothing(answering, numeric, assert_sound):
    splits = separable(numeric)
    answering(*["?"] * 60)
    decoding = evaluator(decode="generate")
    measures = decoding.evaluate(splits, splits.train, seed=0)
    assert_sound(decoding, measures)
    assert measures["lle/missing"] == 1
    assert all(measures[name] == 0 for name in measures if name[4:] in ("accuracy", "f1_macro", "mcc"))
    assert not numeric or measures["lle/r2"] <= 0


def test_a_missing_number_counts_as_the_mean_of_the_synthetic_target(answering):
    splits = separable(numeric=True)
    test = Table(splits.test.frame.iloc[:3].assign(target=[1, 7, 7]).reset_index(drop=True), splits.schema)
    synthetic = Table(splits.train.frame.iloc[:2].assign(target=[2, 6]), splits.schema)
    answering("1", "seven", "6.5")
    measures = evaluator().evaluate(Splits(splits.train, splits.val, test), synthetic, seed=0)
    assert measures["lle/missing"] == pytest.approx(1 / 3)
    assert measures["lle/mae"] == pytest.approx((0 + 3 + 0.5) / 3)


# ---- what cannot be


def test_bad_synthetic_rows_never_raise(toy, spoiled, untuned, assert_sound):
    judge = evaluator(max_test_rows=6)
    assert_sound(judge, judge.evaluate(toy, spoiled(toy.train), seed=0))


def test_no_test_rows_is_a_reason(toy, untuned):
    measures = evaluator().evaluate(Splits(toy.train, toy.val, toy.test.take([])), toy.train, seed=0)
    assert set(measures.reasons) == set(measures)
    assert measures.reasons["lle/f1_macro"] == "the test split is empty"


def test_one_label_in_the_test_rows_leaves_roc_auc_undefined(toy, untuned, assert_sound):
    test = toy.test.take(np.flatnonzero(toy.test.target == "yes")[:5])
    measures = evaluator().evaluate(Splits(toy.train, toy.val, test), toy.train, seed=0)
    assert_sound(evaluator(), measures)
    assert "too few or all alike" in measures.reasons["lle/roc_auc"]
    assert np.isfinite(measures["lle/accuracy"])


@pytest.mark.parametrize("tuned", [True, False])
def test_rows_too_long_for_the_model_are_a_reason(toy, tuned, request):
    if not tuned:  # then it is the test rows that are found too long
        request.getfixturevalue("untuned")
    measures = evaluator(llm=tiny(context=40)).evaluate(toy, toy.train, seed=0)
    assert all(np.isnan(value) for value in measures.values())
    assert "llm.context=40" in measures.reasons["lle/accuracy"]


def test_max_test_rows_is_a_seeded_draw(toy, untuned, monkeypatch):
    asked = []

    def spy(model, questions, labels):
        asked.append(questions)
        return np.zeros((len(questions), len(labels)))

    monkeypatch.setattr(module, "label_log_likelihoods", spy)
    for rows, seed in ((None, 0), (10, 0), (10, 0), (10, 1)):
        evaluator(max_test_rows=rows).evaluate(toy, toy.train, seed=seed)
    assert [len(questions) for questions in asked] == [len(toy.test), 10, 10, 10]
    assert asked[1] == asked[2] != asked[3]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decode": "greedy"}, r"language_model_effectiveness.decode=greedy: .*(.|\n)*generate, likelihood"),
        ({"labels": {"no": "same", "yes": "same"}}, "dataset.labels=.*two classes have the same words"),
        ({"words": {"city": {"bonn": "same", "cork": "same"}}}, "dataset.words=(.|\n)*'city' have the same words"),
        ({"words": {"cty": {"bonn": "Bonn"}}}, r"dataset.words=\{cty: ...\}(.|\n)*'city'"),
        ({"tuning": {"epochs": 0}}, "tuning.epochs=0"),
    ],
)
def test_settings_that_cannot_be_name_their_key(toy, settings, message):
    with pytest.raises(ConfigError, match=message):
        evaluator(**settings).evaluate(toy, toy.train, seed=0)


def test_the_configuration_fills_every_setting():
    path = CONF / "evaluator" / "llm.yaml"
    (settings,) = yaml.safe_load(path.read_text(encoding="utf-8")).values()
    assert {name for name in settings if not name.startswith("_")} == {
        field.name for field in fields(LanguageModelEffectiveness)
    }


# ---- the tables' own wording


def wording_of(name: str) -> tuple[Wording, Splits]:
    import hydra
    from hydra import compose, initialize_config_module

    with initialize_config_module("conf", version_base="1.3"):
        config = compose("config", [f"dataset={name}", "data_dir=null", "evaluator=llm"])
    splits = hydra.utils.instantiate(config.dataset, _convert_="all").load(0)
    judge = hydra.utils.instantiate(config.evaluator, _convert_="all")["language_model_effectiveness"]
    return Wording(splits.schema, judge.task_sentence, judge.labels, judge.words), splits


def test_german_is_asked_about_in_words_without_a_code():
    wording, splits = wording_of("german")
    wording.check_for(splits)
    rows = pd.concat([splits.train.frame, splits.val.frame, splits.test.frame])
    examples = wording.examples(rows)
    first = examples[0].prompt
    assert first.startswith(
        "Predict whether the credit risk of the loan applicant is good or bad.\nThe state of Status of"
    )
    assert first.endswith(".\nAnswer: ")
    assert {example.completion for example in examples} == {"good", "bad"}
    assert not [example.prompt for example in examples if re.search(r"\bA\d", example.prompt)]
    row = rows[rows["Purpose"] == "A43"].iloc[[0]]
    assert "The state of Purpose is radio or television, " in wording.examples(row)[0].prompt


@pytest.mark.parametrize("name", sorted(path.stem for path in (CONF / "dataset").glob("*.yaml") if path.stem != "csv"))
def test_every_table_has_a_task_sentence_that_names_its_labels(name):
    settings = yaml.safe_load((CONF / "dataset" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert settings["task_sentence"].startswith("Predict ")
    assert settings["task_sentence"].endswith(".")
    for words in (settings["labels"] or {}).values():
        assert words in settings["task_sentence"]
    if "classification" in settings["task"] and name != "buddy":  # whose table does not say what its classes are
        assert settings["labels"]
