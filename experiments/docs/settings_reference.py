"""The reference of all settings in Markdown, made from the files in conf and the classes that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from experiments.docs.setting_entries import Entry, entries, run_entries, sizes
from experiments.docs.setting_meanings import SIZE
from experiments.docs.yaml_comments import CONF, bases, files, header
from harmonic.recipes import at_scales, merged
from harmonic.settings import text_of

CHOICES = {
    "dataset": "Which table is learnt.",
    "llm": "The language model, for the generators and evaluators that use one.",
    "generator": "Which method makes the rows.",
    "evaluator": "What is measured. Several: `'evaluator=[fidelity,privacy]'`.",
    "tracker": "Where results go besides report.json.",
}
PRESETS = {"launcher": "What runs the jobs of a sweep.", "experiment": "A preset: a sweep with a name (with `-m`)."}
SCALES = ("quick", "paper", "smoke")


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
        "Rows to draw, and sizes that several evaluators share. The sizes of a generator are in its own settings.",
        _scale_table(),
    ]
    for group, role in PRESETS.items():
        parts += [f"## {group}", role, "| choice | what it is |\n|---|---|"]
        parts[-1] += "".join(f"\n| `{group}={path.stem}` | {_cell(header(path))} |" for path in files(group))
    return "\n\n".join(parts) + "\n"


def _based(group: str, path: Path) -> Iterator[str]:
    if known := bases(path):
        yield "All other settings as in " + ", ".join(f"`{group}={name}`" for name in known) + "."


def _table(found: list[Entry]) -> str:
    lines = ["| setting | default | allowed values | meaning |", "|---|---|---|---|"]
    for one in found:
        value = _value(one.setting.value)
        cells = (f"`{one.setting.path}`", f"`{value}`" if value else "", one.allowed, one.meaning)
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    return "\n".join(lines)


def _scale_table() -> str:
    lines = [f"| setting | {' | '.join(SCALES)} | allowed values | meaning |", "|---" * (len(SCALES) + 3) + "|"]
    for one in sizes():
        values = [f"`{_at(_scale(name), one.setting.path)}`" for name in SCALES]
        cells = (f"`{one.setting.path}`", *values, one.allowed, one.meaning)
        lines.append("| " + " | ".join(map(_cell, cells)) + " |")
    return "\n".join(lines)


def escaped(text: str) -> str:
    """Plain text for Markdown: `<`, `*` and brackets are escaped, except between backticks."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*\[\]])", r"\\\1", part.replace("<", "&lt;")) for part in parts[::2]]
    return "`".join(parts)


def _cell(text: str) -> str:
    return escaped(text).replace("|", "\\|")


def _value(text: str) -> str:
    """The value; if it depends on the scale, the value for each."""
    if (sizes := at_scales(text)) is not None:
        values = {name: _at(sizes, name) for name in SCALES}
    elif found := SIZE.fullmatch(text):
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
