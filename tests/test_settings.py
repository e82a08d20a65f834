"""What a setting may be is said by a type hint; what does not fit is one error that names it and shows what does."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from harmonic.errors import ConfigError
from harmonic.settings import (
    Between,
    Chance,
    Count,
    Fields,
    Natural,
    Positive,
    Text,
    check_arguments,
    check_fields,
    check_value,
    described,
)


class Near(TypedDict):
    k: Count
    metric: NotRequired[Literal["mixed", "random"]]


@dataclass(frozen=True, kw_only=True)
class Inner:
    rate: Positive = 0.1
    steps: Count | None = None


@dataclass(kw_only=True)
class Outer:
    near: Near
    name: Text | None = None
    rows: Count = 5
    flag: bool = True
    dropout: Chance = 0.0
    confidence: Between = 0.95
    lines: list[str] = field(default_factory=lambda: ["a"])
    names: Sequence[Text] = ()
    words: Mapping[Text, Text] | None = None
    tuning: Annotated[dict[str, Any], Fields(Inner)] = field(default_factory=dict)
    auto: bool | Literal["auto"] = False


GOOD: list[dict[str, Any]] = [
    {},
    {"name": 7},
    {"name": True},
    {"name": None},
    {"rows": 1},
    {"dropout": 0},
    {"confidence": 0.5},
    {"names": [1, "a"]},
    {"words": {0: "no", True: "yes"}},
    {"tuning": {"rate": 1, "steps": None}},
    {"auto": "auto"},
    {"auto": True},
    {"near": {"k": 3, "metric": "random"}},
    {"lines": ("a", "b")},
]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"rows": "two"}, "g.rows=two: must be a whole number of at least 1\n  fix: g.rows=5"),
    ({"rows": 2.5}, "g.rows=2.5: "),
    ({"rows": 2.0}, "g.rows=2.0: must be a whole number of at least 1\n  fix: g.rows=2"),
    ({"rows": True}, "g.rows=True: "),
    ({"rows": -1}, "g.rows=-1: "),
    ({"rows": None}, "g.rows=None: "),
    ({"name": ["a"]}, "g.name=['a']: must be a text, or null\n  fix: g.name=a"),
    ({"name": {"a": 1}}, "g.name="),
    ({"flag": "yes"}, "g.flag=yes: must be true or false\n  fix: g.flag=true"),
    ({"flag": 1}, "g.flag=1: "),
    ({"dropout": 1.0}, "g.dropout=1.0: must be a number of at least 0 and below 1"),
    ({"dropout": float("nan")}, "g.dropout=nan"),
    ({"confidence": 0}, "g.confidence=0: must be a number above 0 and below 1\n  fix: g.confidence=0.95"),
    ({"lines": "a"}, "g.lines=a: must be a list, each a text\n  fix: 'g.lines=[a]'"),
    ({"names": None}, "g.names=None: "),
    ({"tuning": {"rate": "hot"}}, "g.tuning.rate=hot: must be a number above 0\n  fix: g.tuning.rate=0.1"),
    ({"tuning": {"rat": 1}}, "g.tuning.rat=1: unknown setting 'rat'\n  fix: did you mean 'rate'?"),
    ({"tuning": 3}, "g.tuning=3: must be a mapping"),
    ({"near": {"k": 0}}, "g.near.k=0: must be a whole number of at least 1"),
    ({"near": {}}, "g.near.k=(nothing): is not given"),
    (
        {"near": {"k": 1, "metric": "mixd"}},
        "g.near.metric=mixd: must be one of mixed, random\n  fix: g.near.metric=mixed",
    ),
    ({"near": {"k": 1, "kk": 1}}, "g.near.kk=1: unknown setting"),
    ({"auto": "always"}, "g.auto=always: must be true or false or one of auto"),
    ({"nme": 1}, "g.nme=1: unknown setting 'nme'\n  fix: did you mean 'name'"),
]


@pytest.mark.parametrize("given", GOOD)
def test_what_fits_passes(given: dict[str, Any]) -> None:
    check_arguments(Outer, {"near": {"k": 1}, **given}, "g")
    check_fields(Outer(**{"near": {"k": 1}, **given}), "g")


@pytest.mark.parametrize(("given", "message"), BAD)
def test_what_does_not_fit_is_named_with_one_that_does(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        check_arguments(Outer, {"near": {"k": 1}, **given}, "g")
    assert str(error.value).startswith(message)
    fix = str(error.value).partition("fix: ")[2]
    if fix.startswith(("g.", "'g.", '"g.')):
        (word,) = shlex.split(fix.partition(" or ")[0])
        OverridesParser.create().parse_override(word)


def test_a_missing_argument_and_one_of_another_call() -> None:
    with pytest.raises(ConfigError, match=r"g\.near=\(nothing\): is not given"):
        check_arguments(Outer, {}, "g")
    check_arguments(Outer, {"near": {"_target_": "somewhere.Else", "x": 1}}, "g")


def test_from_python_the_key_is_the_arguments_name() -> None:
    with pytest.raises(ConfigError, match=r"^rows=0: must be a whole number of at least 1"):
        check_fields(Outer(near={"k": 1}, rows=0))
    with pytest.raises(ConfigError, match=r"^n=0: must be a whole number of at least 1\n  fix: n=100"):
        check_value(Count, 0, "n", 100)


def test_hints_in_words() -> None:
    assert described(Natural | None) == "a whole number of at least 0, or null"
    assert described(Literal["a", "b"]) == "one of a, b"
    assert described(list[Text] | Literal["auto"]) == "a list, each a text or one of auto"


def test_every_class_that_yaml_names_says_what_its_arguments_are() -> None:
    """A hint that cannot be read, or any at all, would let everything pass."""
    import pkgutil
    from pathlib import Path

    import yaml

    from harmonic.settings import _hints, _signature

    found: set[str] = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            if "_target_" in node:
                found.add(node["_target_"])
            for inner in node.values():
                walk(inner)

    for path in (Path(__file__).parents[1] / "conf").rglob("*.yaml"):
        if path.parent.name not in ("launcher", "sweeper", "experiment"):
            walk(yaml.safe_load(path.read_text()))
    assert len(found) > 25
    for name in sorted(found):
        target = pkgutil.resolve_name(name)
        parameters = set(_signature(target)) - {"self", "args", "kwargs"}
        assert parameters <= set(_hints(target)), name
