"""Pieces of Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

_MARKDOWN = re.compile(r"[\\`*|<>\[\]]|(?<![^\W_])_|_(?![^\W_])")


def escape_markdown(text: str) -> str:
    """The text with special characters of Markdown escaped; underscores within words are not special."""
    return _MARKDOWN.sub(lambda found: "\\" + found[0], text.replace("\n", " "))


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; cells are Markdown already."""
    lines = [header, ["---"] * len(header), *(map(str, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def bullets(lines: Sequence[str]) -> str:
    """A list of these lines."""
    return "\n".join(f"- {line}" for line in lines)
