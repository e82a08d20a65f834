"""What people type that cannot be: one sentence that names it, never a trace, and a fix that can be pasted."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fixes import HOLE, advice
from hydra.core.override_parser.overrides_parser import OverridesParser

from experiments.configuration.checking import OTHERS, PARTS, RunSettings
from experiments.sample_again import SampleSettings

SMALL = ["llm=tiny", "scale=smoke", "tracker=off", "evaluator=fidelity", "generator=marginals", "dry_run=true"]
HARMONIC = "generator=harmonic"
WORD = re.compile(r"""(?<![^\s(:])("[^"]*"|'(?:[^']|'"'"')*'|[^\s'"(]+)""")

BAD: list[tuple[list[str], str, str]] = [  # the words, what is named, a part of the fix
    (["seed=abc"], "seed=abc: must be a whole number", "seed="),
    (["seed=-1"], "seed=-1", "seed="),
    (["n_samples=2.5"], "n_samples=2.5: must be a whole number of at least 2, or null", "n_samples=null"),
    (["n_samples=1"], "n_samples=1", "n_samples="),
    (["stage=evaluat"], "stage=evaluat: must be one of", "stage=evaluate"),
    (["evaluate_on=tst"], "evaluate_on=tst: must be one of", "evaluate_on=test"),
    (["dry_run=perhaps"], "dry_run=perhaps: must be true or false", "dry_run="),
    (["experiment_name=a/b"], "experiment_name='a/b'", "experiment_name=a_b"),
    (["canaries.count=1.5"], "canaries.count=1.5", "canaries.count="),
    (["datset=csv"], "datset=csv: unknown setting", "dataset=csv"),
    (["dataset=cvs"], "dataset=cvs: unknown dataset 'cvs'", "dataset=csv"),
    (["dataset.pth=my.csv"], "dataset.pth=my.csv: unknown setting", "dataset.path=my.csv"),
    (["generator=3"], "generator=3: is not one of the choices", "harmonic"),
    (["generator=[smote,harmonic]"], "unknown setting", ""),
    (["llm=nollm"], "llm=nollm", "smollm2_135m"),
    (["evaluator.fidelity.max_rows=-1"], "evaluator.fidelity.max_rows=-1", "evaluator.fidelity.max_rows=2000"),
    (["evaluator.fidelity=3"], "evaluator.fidelity=3", ""),
    ([HARMONIC, "generator.neighbors.k=two"], "generator.neighbors.k=two: must be a whole number of at least 1", "k="),
    ([HARMONIC, "generator.neighbors={k: 3, foo: 2}"], "generator.neighbors.foo", "metric"),
    ([HARMONIC, "generator.neighbors=5"], "generator.neighbors=5", "generator.neighbors="),
    ([HARMONIC, "generator.sampling.temperature=hot"], "generator.sampling.temperature=hot", "temperature=0.7"),
    ([HARMONIC, "generator.tuning.batch_size=abc"], "generator.tuning.batch_size=abc", "generator.tuning.batch_size="),
    (["scale.tuning.batch_size=8"], "scale.tuning.batch_size=8: has moved to the gen", "generator.tuning.batch_size=8"),
    (["+scale.deep.tvae.n_iter=50"], "scale.deep.tvae.n_iter=50: has moved", "generator.settings.n_iter=50"),
    (["scale.deep.tabsyn.diffusion.width=9"], "scale.deep.tabsyn", "generator.diffusion.width=9"),
    (["scale.dense.rows_per_prompt=3"], "scale.dense", "generator.sampling.rows_per_prompt=3"),
    (["scale.great.seconds=9"], "scale.great", "generator.sampling.seconds=9"),
    ([HARMONIC, "~generator.llm"], "generator.llm=(nothing)", ""),
    (["generator=smote", "generator.k=0"], "generator.k=0", "generator.k=5"),
    (["+generator.foo=1"], "generator.foo=1: unknown setting", ""),
    (["+foo=1"], "foo=1: unknown setting", "force"),
    (["+seed=3"], "+seed=3: exists already", "seed=3"),
    (["~generator"], "generator=None", ""),
    (["llm._target_=foo.bar"], "llm._target_=foo.bar: cannot be imported", ""),
    (["llm.hidden_size=abc"], "llm.hidden_size=abc", "llm.hidden_size=32"),
    (["seed"], "override=seed", "key=value"),
    (["=x"], "override==x", "key=value"),
    (["dataset.target=${x"], "dataset.target=${x: cannot be read", "dataset.target="),
    (["dataset.description=${nope}"], "dataset.description=${nope}", "dataset.description="),
    (["dataset.description=a (b)"], "dataset.description=a (b): cannot be read", "dataset.description="),
    (["dataset.kinds={Age}"], "dataset.kinds={Age}: cannot be read", "dataset.kinds="),
    (["dataset.rules=[Age <= BMI]"], "dataset.rules=[Age <= BMI]: cannot be read", "dataset.rules="),
    (["dataset.kinds=3"], "dataset.kinds=3", "dataset.kinds=null"),
    (["dataset.kinds=hello"], "dataset.kinds=hello", "dataset.kinds="),
    (["dataset.kinds={Age: categry}"], "{Age: categry}", "category"),
    (["dataset.missing_values=null"], "dataset.missing_values=None: must be a list", "dataset.missing_values="),
    (["dataset.target=[Outcome]"], "dataset.target=['Outcome']: must be a text", "dataset.target=Outcome"),
    (["dataset.target=7"], "dataset.target=7: unknown column", "Outcome"),
    (["dataset.split.train=a"], "dataset.split.train=a", "dataset.split.train="),
    (["dataset.split={train: 0.5, val: 0.5, test: 0.5}"], "dataset.split", "dataset.split="),
    (["dataset=csv", "dataset.path=3"], "dataset.path=3: no such file", ""),
    (["dataset=csv"], "dataset.path=null: no file is given", "dataset.path=table.csv"),
    (["dataset.data_dir=3"], "data_dir=3", "data_dir=null"),
]


def pasted(text: str) -> Iterator[str]:
    """The words of a message that set something, as a shell takes them."""
    for found in WORD.findall(text):
        word = found.rstrip(",.;:)?")
        if re.match(r"""["']?[+~]?[\w.]+=""", word):
            (read,) = shlex.split(word)
            yield read


@pytest.mark.parametrize(("words", "named", "fix"), BAD, ids=[" ".join(words) for words, _, _ in BAD])
def test_what_cannot_be_is_one_sentence_and_a_fix_to_paste(
    command: Callable[..., Any], tmp_path: Path, words: list[str], named: str, fix: str
) -> None:
    done = command(*SMALL, f"output_dir={tmp_path}", *words)
    said = done.err + done.out
    assert done.code == 1
    assert "Traceback" not in said and "HYDRA_FULL_ERROR" not in said
    problem, advised = re.findall(r"error: (.*)\n  fix: (.*)", said)[-1]
    assert named in problem and fix in advised
    for word in pasted(advised):
        OverridesParser.create().parse_override(word)


NAMES = ["7", "1e5", "true", "a (b), c", "a.b: c=d", "#1 & co", "straße", "it's", 'say "hi"', "${x}", "a\\b"]


@pytest.mark.parametrize("name", NAMES)
def test_columns_may_be_called_anything(command: Callable[..., Any], tmp_path: Path, name: str) -> None:
    """The name is the target, and a column whose kind is set, by the words that messages print."""
    from harmonic.shell import override

    path = tmp_path / "t.csv"
    pd.DataFrame({name: ["x", "y", "z"] * 20, "n": range(100, 160), "m": [1, 2, 5, 9] * 15}).to_csv(path, index=False)
    target, kinds = override("dataset.target", name), override("dataset.kinds", {name: "category", "n": "integer"})
    words = [*SMALL, "dataset=csv", f"dataset.path={path}", f"output_dir={tmp_path}/o"]
    for typed in (shlex.split(f"{target} {kinds}"), [f"dataset.target={name}"] if name in NAMES[:3] else []):
        if typed:
            done = command(*words, *typed)
            assert done.code == 0, done.err
            assert f"t: target {name}" in done.out


KEYS = {*RunSettings.__dataclass_fields__, *PARTS, *OTHERS, *SampleSettings.__dataclass_fields__}
FREE = {"key", "index", "method"}  # of "key=value", pandas' index=False, and Harmonic(method=...)
SAFE = {
    "key",
    "_KEY",
    "name",
    "least",
    "example",
    "processes()",
    "rate / 4",
    "'null' if setting.default is None else setting.default",
}
"""What fills a hole of a setting in the code's messages, and needs no quoting: keys and numbers."""


def test_every_setting_that_the_code_advises_can_be_pasted() -> None:
    """Values that are put in at run time go through harmonic.shell, but for keys and numbers."""
    found = 0
    wrong: list[str] = []
    for one in advice():
        places = iter(range(len(one.holes)))
        filled = re.sub(HOLE, lambda _: f"<{next(places)}>", one.text)  # noqa: B023 (used at once)
        for key, value in re.findall(r"(?<![\w<>.-])((?:[a-z_][\w.]*|<[^>]*>)+)=(\S*)", filled):
            found += 1
            holes = [one.holes[int(place)] for place in re.findall(r"<(\d+)>", f"{key}={value}")]
            unsafe = [hole for hole in holes if hole not in SAFE]
            word = re.sub(r"<[^>]*>", "x", f"{key}={value}").rstrip(",.;:)?")
            try:
                (read,) = shlex.split(word)
                OverridesParser.create().parse_override(read)
                known = key.startswith("<") or key.split(".")[0] in KEYS | FREE
            except Exception:
                known = False
            if unsafe or not known:
                wrong.append(f"{one.where}: {filled!r} {one.holes}")
    assert found > 50
    assert wrong == []
