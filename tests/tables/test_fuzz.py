"""Tables and files that nobody would think of: every one is learnt and given back, or refused in words.

.venv/bin/pytest tests/tables/test_fuzz.py                 a few examples of each
.venv/bin/pytest tests/tables/test_fuzz.py -m slow -s      2,000 of each (200 with tuning), with what became of them
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_module
from hydra.utils import instantiate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf
from row_texts import drawn_at_random, row_text

from experiments.stages.pipeline import Pipeline
from harmonic.datasets import Dataset
from harmonic.decoding.constraints import RowConstraints
from harmonic.errors import ConfigError, DataError, HarmonicError
from harmonic.llm.tiny_model import TinyModel
from harmonic.prompts.chat import Chat
from harmonic.prompts.row_format import find_row_format, row_formats
from harmonic.runs.run import Run
from harmonic.tables.codes.coding import Coding
from harmonic.tables.column_types.missing_markers import MISSING_VALUES
from harmonic.tables.missing_values import Imputation
from harmonic.tables.reading.files import parse_csv
from harmonic.tracking import NullTracker

OUTCOMES: Counter[str] = Counter()

ODD = """" { } \\ a,b naïve 日本 😀 '; null None %d {0} \u200b""".split(" ")
ODD += ["x\ny", "<|im_end|>", "DROP TABLE x", "a" * 300]
NASTY = st.one_of(
    st.sampled_from(ODD),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8),
)
CELLS = st.one_of(
    st.just(st.integers(-(10**20), 10**20).map(str)),
    st.just(st.integers(0, 5).map(str)),
    st.just(st.floats(allow_nan=True, allow_infinity=True).map(str)),
    st.just(st.decimals(-1000, 1000, places=2, allow_nan=False).map(str)),
    st.just(st.dates().map(str)),
    st.just(st.datetimes().map(lambda moment: str(moment.replace(microsecond=0)))),
    st.just(st.booleans().map(str)),
    st.just(st.uuids().map(str)),
    st.just(NASTY),
    st.just(st.sampled_from(["a", "b"])),
    st.just(st.just("")),
    st.just(st.one_of(st.integers().map(str), NASTY)),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]], str | None]:
    """A header, rows, and a target or none."""
    names = draw(st.lists(NASTY.map(str.strip).filter(bool), min_size=draw(st.integers(1, 4)), max_size=6, unique=True))
    rows = draw(st.one_of(*[st.integers(8, 60)] * 5, st.integers(1, 3)))
    columns = []
    for _ in names:
        cell = draw(CELLS)
        size = draw(st.sampled_from([2, 2, 3, 12]))
        pool = draw(st.lists(cell, min_size=size, max_size=2 * size))
        gaps = draw(st.sampled_from([0.0, 0.0, 0.3, 0.95]))
        spin = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        picked = [pool[place] for place in spin.integers(0, len(pool), rows)]
        columns.append(["" if spin.random() < gaps else text for text in picked])
    target = draw(st.one_of(st.none(), st.sampled_from(names)))
    return names, [list(row) for row in zip(*columns, strict=True)], target


def written(names: list[str], rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([names, *rows])
    return text.getvalue().encode()


def refused(error: HarmonicError) -> None:
    """The error says what to do; what became of the example is counted."""
    assert "fix:" in str(error), error
    words = re.sub(r"/\S+/|'.*?'|\d+", "…", str(error).splitlines()[0])
    OUTCOMES[f"{type(error).__name__}: {words:.60}"] += 1


@cache
def configuration(generator: str) -> tuple[dict[str, Any], dict[str, Any]]:
    own = {
        "marginals": ("evaluator=full", "~evaluator.membership_inference", "~evaluator.language_model_effectiveness"),
        "harmonic": ("evaluator=privacy", "generator.tuning.max_examples=2", "generator.aliases=auto"),
        "harmonic_dense": ("evaluator=privacy", "generator.tuning.max_tokens=600", "generator.aliases=auto"),
    }
    with initialize_config_module("conf", version_base="1.3"):
        chosen = ("dataset=csv", "llm=tiny", "scale=smoke", "tracker=off", "n_samples=6", f"generator={generator}")
        config = compose("config", [*chosen, *own[generator], "dataset.path=placeholder.csv"])
    plain: Any = OmegaConf.to_container(config, resolve=True)
    return plain, instantiate(config, _convert_="all")


def through(table: tuple[list[str], list[list[str]], str | None], generator: str) -> None:
    """The file through every stage: a table of its shape, or one clear error."""
    names, rows, target = table
    plain, parts = configuration(generator)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes(written(names, rows))
        own = {**plain, "dataset": {**plain["dataset"], "path": str(path), "target": target}}
        try:
            splits = replace(parts["dataset"], path=str(path), target=target).load(0)
            run = Run.open(own, Path(folder) / "outputs", "fuzz", "csv", generator, 0, data=splits.fingerprint())
            pipeline = Pipeline(run, splits, own, parts["generator"], parts["evaluator"], NullTracker())
            pipeline.execute("evaluate")
        except HarmonicError as error:
            return refused(error)
        assert run.is_done
        layout = splits.layout
        assert layout is not None and layout.dialect is not None
        made = layout.dialect.read((run.folder / "synthetic.csv").read_bytes())
        assert list(made) == list(parse_csv(written(names, rows), "table.csv"))
        assert len(made) == 6
        plain = layout.plain(made)
        for column in splits.schema.columns:
            for text in plain[column.name]:
                assert column.format(column.parse(text)) == text
        assert all(value is None or np.isfinite(value) for value in run.report["metrics"].values())
        OUTCOMES["a table"] += 1


def run_whole(table: tuple[list[str], list[list[str]], str | None]) -> None:
    """`through` with independent columns, and nearly every evaluator."""
    through(table, "marginals")


def learn(table: tuple[list[str], list[list[str]], str | None]) -> None:
    """`through` with HARMONIC: tuning, sampling, and the measures of privacy."""
    through(table, "harmonic")


def learn_densely(table: tuple[list[str], list[list[str]], str | None]) -> None:
    """`through` with lists of rows, codes for numbers, and a narrow vocabulary."""
    through(table, "harmonic_dense")


def survive_text(table: tuple[list[str], list[list[str]], str | None]) -> None:
    """Every row of a table, in any format and order of columns, is read back as it was; so is its imputation."""
    names, rows, target = table
    dataset = Dataset(name="fuzz", target=target, missing="keep", missing_values=MISSING_VALUES)
    try:
        read, layout, _, _ = dataset.typed(parse_csv(written(names, rows), "table.csv"))
    except HarmonicError as error:
        return refused(error)
    spin = np.random.default_rng(len(rows))
    for name in row_formats():
        form, parsed = find_row_format(name, read.schema), []
        for row in read.frame.to_dict("records"):
            order = [read.schema.names[place] for place in spin.permutation(len(read.schema.names))]
            text = row_text(row, read.schema, order, name)
            parsed.append(form.parse(text, order))
            assert row_text(parsed[-1], read.schema, order, name) == text and "\n" not in text
        pd.testing.assert_frame_equal(read.schema.conform(pd.DataFrame(parsed)), read.frame)
    coding = Coding.of(read, "quantiles", "letters")
    conformed = coding.decode(coding.encode(read).frame, 0)
    pd.testing.assert_frame_equal(read.schema.conform(conformed), conformed)
    pd.testing.assert_frame_equal(conformed.isna(), read.frame.isna())
    imputation = Imputation.of(read)
    pd.testing.assert_frame_equal(imputation.restore(imputation.frame(read.frame)), read.frame)
    assert list(layout.release(read.texts(), 0)) == list(layout.names)
    OUTCOMES["a table"] += 1


def survive_bytes(data: bytes) -> None:
    """Whatever the bytes: a text table, or one clear error."""
    try:
        texts = parse_csv(data, "table.csv")
    except (DataError, ConfigError) as error:
        return refused(error)
    assert texts.shape[0] >= 1 and texts.shape[1] >= 2
    assert texts.map(lambda cell: isinstance(cell, str)).all(axis=None)
    OUTCOMES["a table"] += 1


@cache
def tokenizer() -> Any:
    return TinyModel(name="tiny").tokenizer()


def constrain(table: tuple[list[str], list[list[str]], str | None]) -> None:
    """Random tokens under the table's constraint make a row of it."""
    names, rows, target = table
    try:
        read, _, _, _ = Dataset(name="fuzz", target=target, missing="keep").typed(
            parse_csv(written(names, rows), "t.csv")
        )
    except HarmonicError as error:
        return refused(error)
    chat, spin = Chat(tokenizer()), np.random.default_rng(len(rows))
    for name, end in (("json", chat.end), ("compact", chat.line_end)):
        form = find_row_format(name, read.schema)
        order = [read.schema.names[place] for place in spin.permutation(len(read.schema.names))]
        ids = drawn_at_random(RowConstraints(form, tokenizer(), end).start(order), spin)
        read.schema.conform(pd.DataFrame([form.parse(chat.text(ids), order)]))
    OUTCOMES["a table"] += 1


@st.composite
def spoilt(draw: st.DrawFn) -> bytes:
    """A CSV file with some bytes of it replaced, taken out, or put in; or just bytes."""
    if draw(st.integers(0, 5)) == 0:
        return draw(st.one_of(st.binary(max_size=200), st.text(max_size=80).map(lambda text: text.encode("utf-16"))))
    names, rows, _ = draw(tables())
    data = bytearray(written(names, rows[:5]).replace(b'"', b"") if draw(st.booleans()) else written(names, rows[:5]))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(data)))
        data[place : place + draw(st.integers(0, 3))] = draw(
            st.sampled_from([b"", b",", b"\n", b'"', b"\0", b"\xff", b"x"])
        )
    return bytes(data)


PATHS: dict[str, tuple[Any, Any]] = {
    "run": (run_whole, tables()),
    "learn": (learn, tables()),
    "learn densely": (learn_densely, tables()),
    "text": (survive_text, tables()),
    "constraint": (constrain, tables()),
    "bytes": (survive_bytes, spoilt()),
}


def explore(name: str, examples: int) -> None:
    """Try so many examples; print what became of them."""
    check, strategy = PATHS[name]
    relaxed = settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
    )
    OUTCOMES.clear()
    relaxed(given(strategy)(check))()
    print(f"{name}: {sum(OUTCOMES.values())} examples", *OUTCOMES.most_common(15), sep="\n  ")
    assert examples < 100 or OUTCOMES["a table"] > 0.1 * examples, OUTCOMES  # it was not all refused


def test_tables_that_once_went_wrong() -> None:
    OUTCOMES.clear()
    for column in (["1"] * 3 + ["0"] * 5, ["0", "0", "0", "1", "1", "0", "0", "0"]):
        run_whole((['"', "{"], [["0", text] for text in column], None))  # one column is left; it may not vary in train
    huge = ["1e-45", "2.5e168", "0.0", "-5e124"]
    run_whole((["x", "y"], [[huge[n % 4], str(n % 3)] for n in range(20)], "y"))
    assert OUTCOMES["a table"] >= 2, OUTCOMES


@pytest.mark.parametrize(
    ("name", "examples"),
    [("run", 12), ("learn", 3), ("learn densely", 3), ("text", 60), ("constraint", 15), ("bytes", 150)],
)
def test_odd_tables_are_given_back_or_refused_in_words(name: str, examples: int) -> None:
    explore(name, examples)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "examples"), [(name, 200 if name.startswith("learn") else 2000) for name in PATHS])
def test_very_many_odd_tables_are_given_back_or_refused_in_words(name: str, examples: int) -> None:
    explore(name, examples)
