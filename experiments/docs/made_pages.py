"""What mkdocs is told to do beside its own work: put into pages what is made of the code, and of the log."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXPERIMENTS = Path(__file__).resolve().parents[1]


def _settings() -> str:
    from experiments.docs.settings_reference import reference

    return reference()


def _metrics() -> str:
    from experiments.docs.metrics_reference import reference

    return reference()


def _log() -> str:
    return (EXPERIMENTS / "LOG.md").read_text(encoding="utf-8").partition("\n")[2]


def _notebook() -> str:
    from experiments.docs.notebook import markdown, read

    return markdown(read()).partition("\n")[2]  # the page has a title of its own


def _folders() -> str:
    """A row for each package: its path, and the first line of its docstring."""
    rows = ["| folder | what is in it |", "|---|---|"]
    for top in ("harmonic", "baselines", "experiments"):
        for path in sorted((EXPERIMENTS.parent / top).rglob("__init__.py")):
            told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            rows.append(f"| `{path.parent.relative_to(EXPERIMENTS.parent)}` | {told.splitlines()[0]} |")
    return "\n".join(rows) + "\n"


MADE: dict[str, Callable[[], str]] = {
    "<!-- settings -->": _settings,
    "<!-- metrics -->": _metrics,
    "<!-- log -->": _log,
    "<!-- folders -->": _folders,
    "<!-- notebook -->": _notebook,
}
"""Marks in pages, and what stands in their place in the site."""


def filled(page: str) -> str:
    """A page's Markdown with what its marks stand for."""
    for mark, make in MADE.items():
        if mark in page:
            page = page.replace(mark, make())
    return page


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by mkdocs for every page."""
    return filled(markdown)
