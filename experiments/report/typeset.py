"""Tables as Markdown and as LaTeX (booktabs). Special characters are escaped, since names come from the user."""

from __future__ import annotations

import re
from collections.abc import Iterable

from experiments.card.markdown import escape_markdown
from experiments.report.tables import Cell, ResultTable

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "±": r"$\pm$", "–": "--", "−": "$-$", "↑": r"$\uparrow$", "↓": r"$\downarrow$", "→": r"$\rightarrow$",
    "†": r"\dag{}", "α": r"$\alpha$", "β": r"$\beta$", "²": r"\textsuperscript{2}", "×": r"$\times$", "\n": " ",
    "[": "{[}", "]": "{]}",  # after \\ a bracket would be its argument
}  # fmt: skip


def markdown(tables: Iterable[ResultTable]) -> str:
    """GitHub's Markdown, with a heading for each table."""
    return "\n".join(_markdown(table) for table in tables)


def _markdown(table: ResultTable) -> str:
    lines = [f"## {escape_markdown(table.title)}", ""]
    lines.append(_line([escape_markdown(title) for title in table.header]))
    lines.append(_line([":--", ":--", *["--:"] * (len(table.header) - 2)]))
    for row in table.rows:
        lines.append(_line([_markdown_cell(cell) for cell in row]))
    return "\n".join([*lines, "", *(f"{escape_markdown(note)}  " for note in table.notes), ""])


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown_cell(cell: Cell) -> str:
    text = escape_markdown(cell.text)
    return f"**{text}**" if cell.best else f"*{text}*" if cell.quiet and text else text


def latex(tables: Iterable[ResultTable]) -> str:
    r"""A file to \input, with an environment for each table."""
    head = "% Needs \\usepackage{booktabs} and, for text in other scripts, a Unicode engine (lualatex, xelatex).\n"
    return head + "\n".join(_latex(table) for table in tables)


def _latex(table: ResultTable) -> str:
    label, columns = re.sub(r"[^A-Za-z0-9]+", "-", table.name), "ll" + "r" * (len(table.header) - 2)
    lines = [r"\begin{table}[htbp]", r"\centering\small"]
    lines += [rf"\caption{{{escape_latex(table.title)}}}", rf"\label{{tab:{label}}}"]
    lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule"]
    lines += [" & ".join(escape_latex(title) for title in table.header) + r" \\", r"\midrule"]
    for position, row in enumerate(table.rows):
        if position and row[0].text:
            lines.append(r"\midrule")
        lines.append(" & ".join(_latex_cell(cell) for cell in row) + r" \\")
    lines += [r"\bottomrule", r"\end{tabular}"]
    lines += [rf"\par\smallskip\raggedright\footnotesize {escape_latex(note)}" for note in table.notes]
    return "\n".join([*lines, r"\end{table}", ""])


def _latex_cell(cell: Cell) -> str:
    text = escape_latex(cell.text)
    return rf"\textbf{{{text}}}" if cell.best else rf"\textit{{{text}}}" if cell.quiet and text else text


def escape_latex(text: str) -> str:
    """The text with all special characters of LaTeX escaped."""
    return "".join(_LATEX.get(character, character) for character in text)
