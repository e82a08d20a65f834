"""Every setting in conf, with its allowed values and its meaning.

The allowed values come from the type hint of the argument that a setting becomes (harmonic.settings). The meaning comes
from the comment beside it, or else from experiments/docs/setting_meanings.py.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from experiments.configuration.checking import RunSettings
from experiments.docs.setting_meanings import SIZE, elsewhere, of_size, owner, usual
from experiments.docs.yaml_comments import CONF, Setting, files, settings
from harmonic.settings import allowed


@dataclass(frozen=True, slots=True)
class Entry:
    """A setting, its allowed values, and its meaning; "" if one is not known."""

    setting: Setting
    allowed: str
    meaning: str


def run_entries() -> list[Entry]:
    """The run's own settings, of conf/config.yaml."""
    known = allowed(RunSettings)
    own = [one for one in settings(CONF / "config.yaml") if one.path in known]
    return [Entry(one, known[one.path][0], one.comment or usual(one.path)) for one in own]


def entries(group: str, path: Path) -> list[Entry]:
    """The settings that a file in conf/<group> has."""
    found = []
    for one in settings(path):
        if any(part.startswith("_") for part in one.path.split(".")):
            continue
        kind, name = owner(group, path, one.path)
        heading = not one.value and not one.comment  # of a mapping, or an evaluator's name
        if kind is None or heading or name.startswith("words."):
            continue
        words = allowed(kind).get(name, ("", None))[0]
        meaning = one.comment or elsewhere(group, kind, name) or of_size(one.value) or usual(name)
        found.append(Entry(one, words, meaning))
    return found


def sizes() -> list[Entry]:
    """The settings of conf/scale, each explained by its comment, or else by the setting that refers to it."""
    users: dict[str, Entry] = {}
    for path in files("evaluator"):
        for entry in entries("evaluator", path):
            if size := SIZE.fullmatch(entry.setting.value):
                users.setdefault(size[1], entry)
    users |= {one.setting.path: one for one in run_entries() if one.setting.path in ("n_samples", "minutes")}
    found = []
    for one in settings(CONF / "scale" / "paper.yaml"):
        user = users.get(one.path) or _within(users, one.path)
        words, meaning = (user.allowed, user.meaning) if user else ("", "")
        if one.value and one.path != "name":
            found.append(Entry(one, words, meaning if one.path in users and meaning else one.comment or meaning))
    return found


def _within(users: Mapping[str, Entry], path: str) -> Entry | None:
    """The entry for one size in a mapping to which another setting refers as a whole; None for other sizes."""
    outer, _, name = path.rpartition(".")
    if outer not in users:
        return None
    for kind in ("harmonic.tuning.settings.Tuning", "harmonic.evaluation.llm_effectiveness.row_lists.Lists"):
        known = allowed(pkgutil.resolve_name(kind))
        if name in known and outer.endswith(kind.rpartition(".")[2].lower()):
            meaning = elsewhere("generator", pkgutil.resolve_name(kind), name) or usual(name)
            return Entry(Setting(path, ""), known[name][0], meaning)
    return None
