"""Lists of rows: what is learnt and shown, label offsets, and a tiny model that learns from them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax
from test_llm_effectiveness import evaluator, separable, tiny, with_gaps

from harmonic.errors import ConfigError
from harmonic.evaluation.llm_effectiveness.answering import Tuned
from harmonic.evaluation.llm_effectiveness.effectiveness import ALIKE
from harmonic.evaluation.llm_effectiveness.row_lists import ListedModel, ListedRows, Lists, SyntheticLists, offsets
from harmonic.evaluation.llm_effectiveness.wording import Wording, whole_target
from harmonic.prompts.chat import Chat
from harmonic.tables.splits import Splits
from harmonic.tables.table import Column, Kind, Schema, Table, Task
from harmonic.tuning.examples import IGNORED, encode, occurring
from harmonic.tuning.settings import Tuning

TUNING = {
    "epochs": 1, "passes": 8, "learning_rate": 1e-2, "batch_size": 2, "dropout": 0.0, "checkpoint_every": None,
    "vocabulary": "occurring",
}  # fmt: skip
LISTS = {"rows": 8, "contexts": 2, "calibration": 20}


def listing(**settings):
    return evaluator(**{"form": "list", "tuning": TUNING, "lists": LISTS} | settings)


def taught_on(splits: Splits, rows: int = 8, limit: int = 4000, seed: int = 0) -> tuple[SyntheticLists, Chat]:
    chat, form = Chat(tiny().tokenizer()), ListedRows.of(splits.train, Wording(splits.schema, "Which?"))
    return SyntheticLists.of(form, splits.train.frame, Lists(rows=rows), chat, limit, seed), chat


# ---- what is learnt


def test_each_label_of_a_list_is_learnt_with_the_end_of_its_line_and_nothing_else():
    taught, chat = taught_on(separable(numeric=False))
    prompt = taught.prompts(Tuning(passes=1), chat)[0]
    assert prompt.document
    vocabulary = occurring([prompt], chat)
    (example,) = encode([prompt], chat, 4000, vocabulary)
    told = [vocabulary.ids[label] for label in example["labels"] if label != IGNORED]
    labels = [part.text for part in prompt.parts if part.learnt]
    assert chat.tokenizer.decode(told) == "".join(labels)
    assert len(labels) == 8 and set(labels) == {"no\n", "yes\n"}
    assert prompt.parts[0].text == "Which?\n" and prompt.parts[1].text == "A sign\n"


def test_a_label_stands_behind_its_own_row():
    splits = separable(numeric=False)
    taught, chat = taught_on(splits)
    known = dict(zip(taught.lines, taught.answers, strict=True))
    assert len(known) == 2  # the feature decides
    for prompt in taught.prompts(Tuning(passes=2), chat):
        texts = [part.text.rstrip("\n") for part in prompt.parts[2:]]
        assert all(known[line] == answer for line, answer in zip(texts[::2], texts[1::2], strict=True))


@pytest.mark.parametrize("passes", [0.5, 1, 3])
def test_passes_are_how_often_a_row_is_learnt(passes):
    splits = separable(numeric=True)
    frame = splits.train.frame.assign(target=np.arange(80))
    splits = Splits(Table(frame, splits.schema), splits.val, splits.test)
    taught, chat = taught_on(splits)
    found = taught.prompts(Tuning(passes=passes), chat)
    assert sum(part.learnt for prompt in found for part in prompt.parts) == 80 * passes


def test_tokens_are_a_limit():
    taught, chat = taught_on(separable(numeric=False))
    lengths = chat.lengths(taught.prompts(Tuning(passes=3), chat))
    limited = chat.lengths(taught.prompts(Tuning(passes=3, max_tokens=sum(lengths) // 2), chat))
    assert limited == lengths[: len(limited)]
    assert sum(limited) <= sum(lengths) // 2 < sum(lengths[: len(limited) + 1])
    assert len(taught.prompts(Tuning(max_tokens=1), chat)) == 1


def test_lists_are_as_long_as_the_model_allows():
    taught, chat = taught_on(separable(numeric=False), limit=60)
    assert 1 < taught.size < 8
    assert max(chat.lengths(taught.prompts(Tuning(passes=2), chat))) <= 60


def test_contexts_and_rows_for_offsets_have_no_row_in_common():
    splits = separable(numeric=False)
    taught, _ = taught_on(splits)
    frame = pd.DataFrame({"sign": "x" * 40, "target": "no"}, index=range(80))
    numbered = SyntheticLists(taught.form, [str(row) for row in range(80)], ["no"] * len(frame), 8, taught.order, 0)
    contexts = numbered.contexts(3)
    shown = [part.text.rstrip() for prompt in contexts for part in prompt.parts[2::2]]
    assert len(shown) == 3 * 7 == len(set(shown))  # seven rows, and the one that is asked about
    assert not set(shown) & {str(row) for row in numbered.asked(50)}


# ---- offsets


@given(
    st.integers(2, 5), st.integers(5, 60), st.integers(0, 10**6), st.floats(0.05, 0.95)
)  # fmt: skip
def test_offsets_of_two_labels_give_their_shares(_, rows, seed, share):
    logs = log_softmax(np.random.default_rng(seed).normal(0, [3, 1], size=(rows, 2)), axis=1)
    found = offsets(logs, np.array([1 - share, share]))
    positive = (logs + found).argmax(axis=1).mean()
    assert positive == pytest.approx(share, abs=0.5 / rows + 1e-9)
    # The order of the rows is kept: the likeliest of a label stay the likeliest.
    chosen = (logs + found).argmax(axis=1) == 1
    margins = logs[:, 1] - logs[:, 0]
    assert not chosen.any() or chosen.all() or margins[chosen].min() >= margins[~chosen].max()


def test_offsets_of_several_labels_give_their_shares():
    logs = log_softmax(np.random.default_rng(1).normal([2, 0, 0, -1], 1, size=(2000, 4)), axis=1)
    shares = np.array([0.1, 0.5, 0.25, 0.15])
    taken = np.bincount((logs + offsets(logs, shares)).argmax(axis=1), minlength=4) / 2000
    assert taken == pytest.approx(shares, abs=0.01)


def test_a_label_that_no_row_has_is_never_taken():
    logs = log_softmax(np.random.default_rng(1).normal([0, 9, 0], 1, size=(50, 3)), axis=1)
    found = offsets(logs, np.array([0.5, 0.0, 0.5]))
    assert set((logs + found).argmax(axis=1)) == {0, 2}
    assert np.isfinite(found).all()


def test_without_rows_or_with_one_label_there_is_nothing_to_set():
    assert offsets(np.empty((0, 2)), np.array([0.3, 0.7])).tolist() == [0, 0]
    assert offsets(np.zeros((3, 2)), np.array([0.0, 1.0]))[1] == 0


# ---- asked


def test_log_likelihoods_are_those_of_plain_passes_behind_each_context():
    splits = separable(numeric=False, labels=("no", "yes please"))
    taught, chat = taught_on(splits)
    model, _ = tiny().load()
    vocabulary = occurring(taught.prompts(Tuning(), chat), chat)
    vocabulary.narrow(model)
    listed = ListedModel(taught, Tuned(model, chat, vocabulary), Lists(**LISTS), 4000)
    test = splits.test.frame.iloc[:3]
    told = np.empty((2, 3, 2))
    for place, context in enumerate(taught.contexts(2)):
        for row, line in enumerate(taught.form.short.lines(test)):
            for at, choice in enumerate(("no", "yes please")):
                ids = [*chat.encode([context])[0][0], *chat.lines([line])[0]]
                answer = chat.lines([choice])[0]
                with torch.inference_mode():
                    logits = model(input_ids=torch.tensor([ids + answer])).logits[0, len(ids) - 1 : -1].double()
                logs = logits.log_softmax(dim=-1)
                told[place, row, at] = sum(
                    float(logs[step, token]) for step, token in enumerate(vocabulary.index(answer))
                )
    expected = log_softmax(told, axis=2).mean(axis=0)
    found = listed.log_likelihoods(test)
    assert found == pytest.approx(log_softmax(expected, axis=1), abs=1e-4)
    own = [["no", "yes please"].index(label) for label in test["target"]]
    assert listed.losses(test) == pytest.approx(-told.mean(axis=0)[np.arange(3), own], abs=1e-4)


def test_a_model_tuned_on_lists_of_separable_rows_labels_the_test_rows(assert_sound):
    splits = separable(numeric=False)
    measures = listing().evaluate(splits, splits.train, seed=0)
    assert_sound(listing(), measures)
    assert measures["lle/accuracy"] > 0.9  # chance is 0.5
    assert "lle/missing" not in measures and not measures.notes


def test_a_model_tuned_on_lists_of_separable_rows_predicts_their_numbers(assert_sound):
    splits = separable(numeric=True)
    measures = listing(llm=tiny(hidden_size=128)).evaluate(splits, splits.train, seed=0)
    assert_sound(listing(), measures)
    assert measures["lle/r2"] > 0.8
    assert set(measures) == {"lle/r2", "lle/rmse", "lle/mae"}


def test_a_number_is_the_mean_of_what_its_codes_stand_for():
    values = np.r_[np.arange(100), 1000.0]
    column = Column(name="y", kind=Kind.FLOAT)
    sign = Column(name="x", kind=Kind.CATEGORY, categories=("a",))
    schema = Schema(columns=(sign, column), target="y", task=Task.REGRESSION, description="")
    table = Table(schema.conform(pd.DataFrame({"x": ["a"] * 101, "y": values})), schema)
    form = ListedRows.of(table, Wording(schema))
    assert form.choices == [*"0123456789"]
    groups = pd.Series(values).groupby(form.targets(table.frame))
    assert form.numbers(table.frame) == pytest.approx(groups.mean().to_numpy())
    low = form.numbers(table.frame.iloc[:50])  # the upper bins have no row: their middle
    assert low[:4] == pytest.approx(groups.mean().to_numpy()[:4])
    assert low[-1] == (form.bins.low[-1] + 1000) / 2


def test_a_model_that_learnt_nothing_but_shares_says_so(assert_sound):
    splits = separable(numeric=False)
    constant = Table(splits.train.frame.assign(target="yes"), splits.schema)
    judge = listing()
    measures = judge.evaluate(splits, constant, seed=0)
    assert_sound(judge, measures)
    assert measures["lle/accuracy"] == (splits.test.target == "yes").mean()
    assert measures.notes == dict.fromkeys(measures, ALIKE)


def test_a_table_with_gaps_and_dates_is_scored(assert_sound):
    splits = with_gaps()
    measures = listing(tuning=TUNING | {"passes": 1}).evaluate(splits, splits.train, seed=0)
    assert_sound(listing(), measures)
    assert np.isfinite(measures["lle/accuracy"])
    whole = whole_target(splits.train)
    form = ListedRows.of(whole.table(splits.train), Wording(whole.imputed))
    assert set(form.answers(whole.frame(splits.train.frame))) == {"no", "yes", "missing"}


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_few_rows_can_be_tuned_on(rows, assert_sound):
    splits = separable(numeric=False)
    judge = listing(max_test_rows=12, tuning=TUNING | {"passes": 1})
    measures = judge.evaluate(splits, splits.train.take(range(rows)), seed=0)
    assert_sound(judge, measures)
    assert np.isfinite(measures["lle/accuracy"])


def test_bad_synthetic_rows_never_raise(toy, spoiled, assert_sound):
    judge = listing(max_test_rows=6, tuning=TUNING | {"max_tokens": 500})
    assert_sound(judge, judge.evaluate(toy, spoiled(toy.train), seed=0))


def test_rows_too_long_for_the_model_are_a_reason(toy):
    measures = listing(llm=tiny(context=20)).evaluate(toy, toy.train, seed=0)
    assert all(np.isnan(value) for value in measures.values())
    assert "llm.context=20" in measures.reasons["lle/accuracy"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "lists"}, r"language_model_effectiveness.form=lists(.|\n)*'list'"),
        ({"lists": {"rows": 1}}, r"language_model_effectiveness.lists.rows=1"),
        ({"decode": "generate"}, r"decode=generate(.|\n)*form=question"),
    ],
)
def test_settings_that_cannot_be_name_their_key(toy, settings, message):
    with pytest.raises(ConfigError, match=message):
        listing(**settings).evaluate(toy, toy.train, seed=0)
