"""generator=harmonic_dense end to end with a tiny model: lists of rows, codes, a narrow vocabulary, every context."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.configuration.building import configured
from harmonic.decoding.sampler import Sampler
from harmonic.errors import ConfigError
from harmonic.method.generator import HarmonicGenerator
from harmonic.prompts.prompt import Prompt
from harmonic.prompts.row_format import find_row_format
from harmonic.prompts.stored_prompts import StoredPrompts
from harmonic.tables.conditions import read_conditions, satisfying
from harmonic.tables.splits import Splits

SETTINGS = ["llm=tiny", "scale=smoke", "dataset=diabetes", "data_dir=null", "generator=harmonic_dense"]
N = 12


@pytest.fixture(scope="module")
def splits() -> Splits:
    return configured(*SETTINGS)["dataset"].load(0)


def tuned(folder: Path, splits: Splits, *overrides: str) -> HarmonicGenerator:
    """Prepared, tuned and loaded; all in one folder."""
    made: HarmonicGenerator = configured(*SETTINGS, *overrides)["generator"]
    folder.mkdir(parents=True, exist_ok=True)
    made.prepare(splits, N, seed=0, directory=folder)
    made.fit(splits, seed=0, prepared=folder, directory=folder)
    made.load(splits, prepared=folder, directory=folder)
    return made


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory, splits: Splits) -> tuple[HarmonicGenerator, Path]:
    folder = tmp_path_factory.mktemp("dense")
    return tuned(folder, splits), folder


def test_lists_are_learnt_and_neighbours_are_shown(dense: tuple[HarmonicGenerator, Path], splits: Splits) -> None:
    made, folder = dense
    train, ask = StoredPrompts(folder / "train.jsonl"), StoredPrompts(folder / "sample.jsonl")
    assert all(prompt.document and len(prompt.learnt_rows) == 6 and not prompt.rows for prompt in train)
    settings, _ = made.checked()
    assert len(ask) == settings.prompts_needed(N) and all(prompt.document and len(prompt.rows) == 5 for prompt in ask)
    expected = [list(ask[settings.prompt_of(row)].rows) for row in range(N)]
    assert made.shown(N, prepared=folder).tolist() == expected  # type: ignore[union-attr]
    assert (folder / "adapter" / "vocabulary.json").is_file()
    first = train[0].prompt + train[0].completion
    assert len(first.splitlines()) == 8 and all(line.count("|") == 8 for line in first.splitlines()[1:])


def test_the_same_seed_draws_the_same_rows_of_the_tables_own_types(
    dense: tuple[HarmonicGenerator, Path], splits: Splits, tmp_path: Path
) -> None:
    made, _ = dense
    found = [made.sample(N, seed=seed, directory=tmp_path / str(place)) for place, seed in enumerate((4, 4, 5))]
    pd.testing.assert_frame_equal(found[0].frame, found[1].frame)
    assert not found[0].frame.equals(found[2].frame)
    frame = found[0].frame
    assert len(frame) == N and frame.dtypes.equals(splits.train.frame.dtypes)
    assert found[0].validity["constrained"] == N
    for name in splits.schema.numeric:
        real = splits.train.frame[name]
        assert frame[name].between(real.min(), real.max()).all()


def test_a_run_cut_off_after_any_batch_ends_with_the_same_table(
    dense: tuple[HarmonicGenerator, Path], tmp_path: Path
) -> None:
    made, _ = dense
    whole = {**made.sampling}
    made.sampling = {**whole, "batch_tokens": 700}
    try:
        expected = made.sample(N, seed=1, directory=tmp_path / "whole").frame
        lines = (tmp_path / "whole" / "progress.jsonl").read_bytes().splitlines(keepends=True)
        assert len(lines) > 3
        for kept in (1, len(lines) // 2, len(lines)):
            folder = tmp_path / str(kept)
            folder.mkdir()
            (folder / "progress.jsonl").write_bytes(b"".join(lines[:kept]) + lines[-1][:10])
            pd.testing.assert_frame_equal(made.sample(N, seed=1, directory=folder).frame, expected)
    finally:
        made.sampling = whole


def test_a_tuning_that_was_killed_goes_on_to_the_same_adapter(splits: Splits, tmp_path: Path) -> None:
    weights = []
    for name in ("whole", "broken"):
        folder = tmp_path / name
        folder.mkdir()
        made: HarmonicGenerator = configured(*SETTINGS, "generator.tuning.checkpoint_every=1")["generator"]
        made.prepare(splits, N, seed=0, directory=folder)
        if name == "broken":

            def stop(values: dict[str, float], step: int) -> None:
                if step == 2:
                    raise KeyboardInterrupt

            made.history = stop
            with pytest.raises(KeyboardInterrupt):
                made.fit(splits, seed=0, prepared=folder, directory=folder)
            assert (folder / "checkpoints" / "checkpoint-1").is_dir() and not (folder / "adapter").exists()
            made.history = None
        made.fit(splits, seed=0, prepared=folder, directory=folder)
        weights.append((folder / "adapter" / "adapter_model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_more_rows_are_drawn_under_conditions(
    dense: tuple[HarmonicGenerator, Path], splits: Splits, tmp_path: Path
) -> None:
    made, _ = dense
    conditions = read_conditions(splits.train, {"Outcome": "1"}, {"Age": ["30", "45"], "BMI": [None, "31.25"]})
    found = made.draw(9, seed=2, directory=tmp_path / "a", conditions=conditions)
    assert len(found.frame) == 9 and satisfying(found.frame, conditions).all()
    again = made.draw(9, seed=2, directory=tmp_path / "b", conditions=conditions)
    pd.testing.assert_frame_equal(found.frame, again.frame)


def test_rows_are_scored_behind_nothing_but_the_header(dense: tuple[HarmonicGenerator, Path], splits: Splits) -> None:
    made, _ = dense
    rows = splits.test.frame.iloc[:6]
    tokens = made.token_nll(rows)
    assert made.nll(rows) == pytest.approx([losses.mean() for losses in tokens])
    assert all((losses > 0).all() and np.isfinite(losses).all() for losses in tokens)
    prompt = made.fitted.scoring_prompt(find_row_format(made.row_format, made.fitted.schema))
    assert prompt.rows == () and prompt.prompt.count("\n") == 2  # the headline and the columns
    base = made.token_nll(rows, base=True)
    assert [len(losses) for losses in base] == [len(losses) for losses in tokens]


def test_the_paper_format_is_scored_behind_rows_that_nobody_scores(splits: Splits, tmp_path: Path) -> None:
    made = tuned(tmp_path, splits, "generator=harmonic")
    prompt = made.fitted.scoring_prompt(find_row_format(made.row_format, made.fitted.schema))
    texts = [part.text.partition(": ")[2] for part in prompt.parts[1:-1]]
    expected = splits.val.texts().head(5).to_dict("records")
    assert [json.loads(text) for text in texts] == expected
    assert made.nll(splits.train.frame.iloc[:3]).shape == (3,)


def asked_for(made: HarmonicGenerator, folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[list[Prompt]], Any]:
    """The prompts of each round of sampling, and the sample."""
    rounds: list[list[Prompt]] = []
    sample = Sampler.sample

    def noted(self: Sampler, prompts: list[Prompt], n: int, **given: Any) -> Any:
        rounds.append(list(prompts))
        return sample(self, prompts, n, **given)

    monkeypatch.setattr(Sampler, "sample", noted)
    return rounds, made.sample(N, seed=0, directory=folder)


TWO_ROUNDS = ["sampling.context=synthetic", "sampling.rows_per_prompt=1", "neighbors.k=2"]


def test_prompts_of_the_second_round_show_no_real_row(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = Splits(splits.train.take(np.arange(40)), splits.val, splits.test)
    made = tuned(tmp_path, few, *(f"generator.{setting}" for setting in TWO_ROUNDS))
    (first, second), sample = asked_for(made, tmp_path / "sample", monkeypatch)
    assert len(first) == 40 and all(prompt.rows for prompt in first)
    assert len(second) == N and len(sample.frame) == N and sample.validity["first_round"] == 40
    assert all(prompt.rows == () and prompt.learnt_rows == () for prompt in second)
    names = made.fitted.schema.names

    def rows(prompt: Prompt) -> list[tuple[str, ...]]:
        lines = [line.split("|") for line in prompt.prompt.splitlines()[1:]]
        return [tuple(line[lines[0].index(name)] for name in names) for line in lines[1:]]

    coded = made.fitted.coding.encode(few.train).texts()
    real = set(coded[names].itertuples(index=False, name=None))
    shown = [row for prompt in second for row in rows(prompt)]
    assert len(shown) == 2 * len(second) and not set(shown) & real
    assert {row for prompt in first for row in rows(prompt)} <= real
    assert made.shown(N, prepared=tmp_path) is None


@pytest.mark.parametrize("settings", [["generator.sampling.context=none"], ["generator.sampling.context=random"]])
def test_other_contexts_draw_rows(
    settings: list[str], splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tuned(tmp_path, splits, *settings)
    (prompts,), sample = asked_for(made, tmp_path / "sample", monkeypatch)
    assert len(sample.frame) == N
    assert {len(prompt.rows) for prompt in prompts} == ({0} if "none" in settings[0] else {5})
    conditions = read_conditions(splits.train, {"Outcome": "1"}, {})
    drawn = made.draw(4, seed=0, directory=tmp_path / "draw", conditions=conditions)
    assert satisfying(drawn.frame, conditions).all()


def test_rows_kept_for_validation_are_told_but_never_learnt_or_shown(splits: Splits, tmp_path: Path) -> None:
    made = tuned(tmp_path, splits, "generator.tuning.validation=0.1", "generator.tuning.max_examples=6")
    told = {row for prompt in StoredPrompts(tmp_path / "validation.jsonl") for row in prompt.learnt_rows}
    assert len(told) == round(0.1 * len(splits.train))
    for name in ("train", "sample"):
        prompts = StoredPrompts(tmp_path / f"{name}.jsonl")
        assert not told & {row for prompt in prompts for row in (*prompt.rows, *prompt.learnt_rows)}
    assert len(made.sample(N, seed=0, directory=tmp_path / "sample").frame) == N


@pytest.mark.parametrize("context", ["random", "neighbors"])
def test_rows_kept_for_validation_are_not_shown_under_conditions_either(
    context: str, splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tuned(tmp_path, splits, "generator.tuning.validation=0.4", f"generator.sampling.context={context}")
    told = {row for prompt in StoredPrompts(tmp_path / "validation.jsonl") for row in prompt.learnt_rows}
    shown: set[int] = set()
    sample = Sampler.sample

    def noted(self: Sampler, prompts: list[Prompt], n: int, **given: Any) -> Any:
        shown.update(row for prompt in prompts for row in prompt.rows)
        return sample(self, prompts, n, **given)

    monkeypatch.setattr(Sampler, "sample", noted)
    conditions = read_conditions(splits.train, {"Outcome": "1"}, {})
    made.draw(6, seed=0, directory=tmp_path / "draw", conditions=conditions)
    assert shown and not told & shown


def test_without_permutation_a_draw_under_conditions_keeps_the_tables_order(
    splits: Splits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = tuned(tmp_path, splits, "generator.permutation=none")
    orders = []
    sample = Sampler.sample

    def noted(self: Sampler, prompts: list[Prompt], n: int, **given: Any) -> Any:
        orders.extend(prompt.order for prompt in prompts)
        return sample(self, prompts, n, **given)

    monkeypatch.setattr(Sampler, "sample", noted)
    conditions = read_conditions(splits.train, {"Outcome": "1"}, {})
    found = made.draw(3, seed=0, directory=tmp_path / "draw", conditions=conditions)
    assert satisfying(found.frame, conditions).all()
    assert set(orders) == {tuple(range(9))}  # as the model was tuned


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("generator.permutation=row", r"generator\.permutation=row: all rows of a prompt need one order"),
        ("generator.row_format=csv", r"generator\.row_format=csv"),
        ("generator.numbers=bins", r"generator\.numbers=bins"),
        ("generator.supervision=row", r"generator\.supervision=row"),
        ("generator.target=middle", r"generator\.target=middle"),
        ("generator.sampling.context=neighbours", r"generator\.sampling\.context=neighbours"),
        ("generator.sampling.first_round=synthetic", r"generator\.sampling\.first_round=synthetic"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_any_work(
    override: str, message: str, splits: Splits, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=message):  # some when it is built, some with the table in hand
        made: HarmonicGenerator = configured(*SETTINGS, override)["generator"]
        made.prepare(splits, N, seed=0, directory=tmp_path)
    assert not list(tmp_path.iterdir())


def test_members_are_all_rows_where_all_are_learnt_and_else_a_random_part(splits: Splits, tmp_path: Path) -> None:
    rows = len(splits.train)
    whole: HarmonicGenerator = configured(*SETTINGS, "generator.tuning.max_tokens=null")["generator"]
    whole.tuning["passes"] = 6
    whole.prepare(splits, N, seed=0, directory=tmp_path / "whole")
    assert whole.learnt_rows(rows, seed=0, prepared=tmp_path / "whole", directory=tmp_path).tolist() == list(
        range(rows)
    )
    few: HarmonicGenerator = configured(*SETTINGS)["generator"]
    few.prepare(splits, N, seed=0, directory=tmp_path / "few")
    prompts = StoredPrompts(tmp_path / "few" / "train.jsonl")
    found = few.learnt_rows(rows, seed=0, prepared=tmp_path / "few", directory=tmp_path)
    assert found.tolist() == sorted({prompt.center for prompt in prompts})
    assert len(found) < len({row for prompt in prompts for row in prompt.learnt_rows}) < rows
    assert all(prompt.center in prompt.learnt_rows for prompt in prompts)
