"""The documentation's pages, and the README, as tests read them: blocks of code, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "experiments" / "docs"
PAGES = DOCS / "pages"
README = ROOT / "README.md"

_BLOCK = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code: its language, the file that it is said to be ("" for none), and its text."""

    language: str
    title: str
    text: str


def pages() -> list[Path]:
    """Every page, and the README."""
    return [README, *sorted(PAGES.rglob("*.md"))]


def called(path: Path) -> str:
    return str(path.relative_to(ROOT if path == README else PAGES))


def blocks(path: Path) -> list[Block]:
    return [Block(*found) for found in _BLOCK.findall(path.read_text(encoding="utf-8"))]


def prose(path: Path) -> str:
    """A page without its blocks of code."""
    return _BLOCK.sub("", path.read_text(encoding="utf-8"))


def files_in(path: Path, folder: Path) -> list[Path]:
    """Write the blocks of a page that are files into the folder; their paths."""
    written = []
    for block in blocks(path):
        if block.title:
            target = folder / block.title
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text, encoding="utf-8")
            written.append(target)
    return written


def commands(path: Path) -> list[list[str]]:
    """The commands in a page's shell blocks, as the shell takes them apart, without settings of the environment."""
    return [words for block in blocks(path) if block.language == "sh" for words in _words(block.text)]


def _words(text: str) -> Iterator[list[str]]:
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            del words[0]
        if words:
            yield words
