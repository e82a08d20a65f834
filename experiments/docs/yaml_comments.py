"""The settings of a YAML file with their comments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

CONF = Path(__file__).resolve().parents[2] / "conf"


@dataclass(frozen=True, slots=True)
class Setting:
    """A key of a file: its dotted path, the text of its value, and the comment beside or above it."""

    path: str
    value: str
    comment: str = ""


def header(path: Path) -> str:
    """The comment at the top of a file, without its commands and Hydra's `@package` line."""
    lines: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#")
        if not text.startswith(("  ", " @")):
            lines.append(text.strip())
    return " ".join(lines)


@cache
def settings(path: Path) -> tuple[Setting, ...]:
    """The settings of a file in order, also those inside mappings; its defaults list is left out."""
    text = path.read_text(encoding="utf-8")
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    lines = text.splitlines()
    return tuple(_below(root, lines, "")) if isinstance(root, yaml.MappingNode) else ()


@cache
def bases(path: Path) -> tuple[str, ...]:
    """The files that the file changes: those in its defaults list."""
    read = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return tuple(name for name in read.get("defaults", []) if isinstance(name, str) and name != "_self_")


def files(group: str) -> list[Path]:
    """The files of a group, those that build on others last."""
    return sorted((CONF / group).glob("*.yaml"), key=lambda path: (bool(bases(path)), path.stem))


def _below(node: yaml.MappingNode, lines: list[str], prefix: str) -> Iterator[Setting]:
    for key, value in node.value:
        path = f"{prefix}{key.value}"
        if path == "defaults":
            continue
        taken_apart = isinstance(value, yaml.MappingNode) and value.value and not value.flow_style
        comment = _beside(key if taken_apart else value, lines) or _above(key, lines)
        if taken_apart:
            yield Setting(path, "", comment)
            yield from _below(value, lines, f"{path}.")
        else:
            yield Setting(path, _written(value, lines), comment)


def _written(value: yaml.Node, lines: list[str]) -> str:
    """The value's text; a long one is shortened."""
    start, end = value.start_mark, value.end_mark
    if start.line == end.line:
        return lines[start.line][start.column : end.column]
    taken = [*lines[start.line : end.line], lines[end.line][: end.column] if end.line < len(lines) else ""]
    taken[0] = taken[0][start.column :]
    text = " ".join(line.strip() for line in taken).strip()
    return text if len(text) <= 60 else "…"


def _beside(node: yaml.Node, lines: list[str]) -> str:
    """The comment after a node, on the node's own line."""
    mark = node.end_mark
    if mark.line >= len(lines):
        return ""
    found = lines[mark.line][mark.column :].partition("# ")[2] if node.start_mark.line == mark.line else ""
    return found.strip()


def _above(key: yaml.Node, lines: list[str]) -> str:
    """Whole lines of comment right above a key; not the file's first ones, which are about the file."""
    found: list[str] = []
    line = key.start_mark.line - 1
    while line >= 0 and lines[line].lstrip().startswith("#"):
        found.insert(0, lines[line].lstrip("# ").strip())
        line -= 1
    return " ".join(found) if line >= 0 else ""
