"""What messages advise, as it stands in the code: for the test that it can be pasted into a shell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOLE = "\0"
"""Stands for a value that is put in while the program runs."""


@dataclass(frozen=True)
class Advice:
    """A text behind "fix:", where it stands, and the expressions that fill its holes, in order."""

    where: str
    text: str
    holes: tuple[str, ...]


def advice() -> Iterator[Advice]:
    """Every fix in the code: the last argument of ConfigError, what is called `fix`, and texts behind "fix: "."""
    for folder in ("harmonic", "baselines", "experiments"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            for node in ast.walk(tree):
                for expression in _fixes(node):
                    for text, holes in _texts(expression):
                        yield Advice(f"{path.relative_to(ROOT)}:{expression.lineno}", text, holes)


def _fixes(node: ast.AST) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "ConfigError":
        yield from node.args[3:4]
    elif isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == "fix" for one in node.targets):
        yield node.value
    elif isinstance(node, ast.JoinedStr | ast.Constant):
        for text, _ in _texts(node):
            if "fix: " in text:
                yield node


def _texts(node: ast.expr) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The texts that an expression may give; a call's are not looked into: `override` and its like quote."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value.rpartition("fix: ")[2], ()
    elif isinstance(node, ast.JoinedStr):
        text, holes = "", []
        for part in node.values:
            if isinstance(part, ast.Constant):
                text += str(part.value)
            elif isinstance(part, ast.FormattedValue):
                text += HOLE
                holes.append(ast.unparse(part.value))
        before, _, after = text.rpartition("fix: ")
        yield after, tuple(holes[before.count(HOLE) :])
    elif isinstance(node, ast.IfExp):
        yield from _texts(node.body)
        yield from _texts(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _texts(value)
    elif isinstance(node, ast.BinOp):
        left, right = list(_texts(node.left)), list(_texts(node.right))
        for one, more in [(a, b) for a in left or [(HOLE, ("?",))] for b in right or [(HOLE, ("?",))]]:
            yield one[0] + more[0], one[1] + more[1]
