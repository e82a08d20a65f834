"""A hook for mkdocs: replaces marks in pages by texts that are made from the code, conf, the log and the notebook."""

from __future__ import annotations

import ast
import re
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
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            rows.append(f"| `{path.parent.relative_to(EXPERIMENTS.parent)}` | {text.splitlines()[0]} |")
    return "\n".join(rows) + "\n"


def _results() -> str:
    """The page of the newest results, its headings a level lower, its pictures beside it."""
    shipped = newest_results()
    if shipped is None:
        return "No comparison ships with this version."
    page = (shipped / "README.md").read_text(encoding="utf-8").partition("\n")[2]
    page = re.sub(r"!\[([^]]*)\]\((\w+\.svg)\)", rf"![\1](pictures/{shipped.name}/\2)", page)
    return f"Made on {shipped.name}.\n{page}"


def newest_results() -> Path | None:
    """The folder of the newest results that ship; None where there are none."""
    return max((path.parent for path in (EXPERIMENTS / "results").glob("*/README.md")), default=None)


MADE: dict[str, Callable[[], str]] = {
    "<!-- settings -->": _settings,
    "<!-- metrics -->": _metrics,
    "<!-- log -->": _log,
    "<!-- folders -->": _folders,
    "<!-- notebook -->": _notebook,
    "<!-- results -->": _results,
}
"""Marks in pages, and the functions that make the texts for them."""


def filled(page: str) -> str:
    """A page's Markdown, with its marks replaced."""
    for mark, make in MADE.items():
        if mark in page:
            page = page.replace(mark, make())
    return page


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Called by mkdocs once: the pictures of the results lie outside of its pages."""
    from mkdocs.structure.files import File

    shipped = newest_results()
    for path in sorted(shipped.glob("*.svg")) if shipped else ():
        uri = f"pictures/{path.parent.name}/{path.name}"
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Replace the marks of a page; mkdocs calls this for every page."""
    return filled(markdown)
