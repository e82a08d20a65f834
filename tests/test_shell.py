"""What is typed in a shell comes out of Hydra's parser, and of YAML's, as what was meant."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as some
from omegaconf import OmegaConf

from harmonic.shell import override, setting

NAMES = [
    "zip", "Credit Score", "a (b)", "a,b", "a.b", "a:b", "a=b", "#1", "R&D", "straße", "it's", 'say "hi"', "${x}",
    "a ${x", "7", "2024", "true", "null", "no", "50%", "a;b", "a\\b", "a\\", "a$b", "`x`", "!x", "a/b", " a", "a  b",
    "[x]", "{x}", "<=", "naïve – dash", "日本", "a\tb", "-1", "1e5", "", "x\\'y", "*",
]  # fmt: skip


def typed(word: str) -> Any:
    """The value that a command line sets, as the program sees it."""
    (read,) = shlex.split(word)
    parsed = OverridesParser.create().parse_override(read)
    config = OmegaConf.create({})
    OmegaConf.update(config, parsed.key_or_group, parsed.value())
    plain: Any = OmegaConf.to_container(config, resolve=True)
    for part in parsed.key_or_group.split("."):
        plain = plain[part]
    return plain


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_typed_as_a_value_and_as_a_key(name: str) -> None:
    assert typed(override("dataset.target", name)) == name
    kinds = typed(override("dataset.kinds", {name: "category"}))
    assert (yaml.safe_load(kinds) if isinstance(kinds, str) else kinds) == {name: "category"}
    assert typed(override("dataset.rules", [f"{name} <= b"])) == [f"{name} <= b"]


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (None, "k=null"), (True, "k=true"), (3, "k=3"), (0.05, "k=0.05"), ("auto", "k=auto"), ("off", "k=off"),
        ("/tmp/a.yaml", "k=/tmp/a.yaml"), ("x y", "\"k='x y'\""),
        ({"zip": "category"}, "'k={zip: category}'"), ([], "'k=[]'"), (["a", "b c"], "\"k=[a, 'b c']\""),
    ],
)  # fmt: skip
def test_simple_values_look_simple(value: object, word: str) -> None:
    assert override("k", value) == word
    assert typed(word) == value


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_a_condition_of_harmonic_sample(name: str) -> None:
    (read,) = shlex.split(setting("condition", {name: [name, "x"]}))
    assert yaml.load(read.partition("=")[2], Loader=yaml.BaseLoader) == {name: [name, "x"]}


def test_a_condition_looks_simple_where_it_can() -> None:
    assert setting("range", {"Age": [18, 65]}) == "'range={Age: [18, 65]}'"


@settings(max_examples=300, deadline=None)
@given(some.text(some.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12))
def test_whatever_stands_in_a_header_survives(name: str) -> None:
    if "\\$" in name:  # OmegaConf counts the backslashes before an interpolation: no header was ever seen with one
        return
    assert typed(override("a.b", name)) == name
    kinds = typed(override("a.b", {name: "date"}))
    assert (yaml.safe_load(kinds) if isinstance(kinds, str) else kinds) == {name: "date"}
    (read,) = shlex.split(setting("range", {name: [1, 2]}))
    assert yaml.load(read.partition("=")[2], Loader=yaml.BaseLoader) == {name: ["1", "2"]}
