"""The notebook of the documentation: runs it and keeps its outputs, and turns it into a page.

    python -m experiments.docs.notebook        runs it with the real model and keeps the outputs of its cells

This needs no notebook program: a notebook is a JSON file, and its cells are Python.
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).resolve().parent / "pages" / "harmonic.ipynb"
PARAMETERS = "parameters"
"""The tag of the cell with values that `run` can replace."""


def read(path: Path = NOTEBOOK) -> dict[str, Any]:
    """The contents of the notebook's file."""
    return dict(json.loads(path.read_text(encoding="utf-8")))


def run(notebook: dict[str, Any], parameters: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Run the code cells in order, and store what they show as their outputs. Returns the names that they define.

    `parameters`: values that replace those of the cell with the tag PARAMETERS. Exceptions of a cell are passed on.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    count = 0
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        count += 1
        cell["execution_count"], cell["outputs"] = count, _outputs("".join(cell["source"]), names, count)
        if PARAMETERS in cell["metadata"].get("tags", ()):
            names |= parameters or {}
    return names


def markdown(notebook: dict[str, Any]) -> str:
    """The notebook as a page in Markdown: texts, code and outputs."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        for output in cell["outputs"]:
            data = output.get("data", {})
            if "image/png" in data:
                parts.append(f"![{data['text/plain']}](data:image/png;base64,{data['image/png']})")
            elif "text/html" in data:
                parts.append(data["text/html"].replace(' class="dataframe"', ""))  # the site styles tables without one
            else:
                parts.append(f"```text\n{(output.get('text') or data['text/plain']).rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def _outputs(source: str, names: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Run one cell. Returns what it printed, and the value of its last line if this is an expression."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    value, printed = None, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, f"cell {count}", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), f"cell {count}", "eval"), names)
    found: list[dict[str, Any]] = []
    if text := printed.getvalue():
        found.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        found.append({"output_type": "execute_result", "execution_count": count, "metadata": {}, "data": _shown(value)})
    return found


def _shown(value: Any) -> dict[str, str]:
    """A value in the formats that a notebook can show, by MIME type."""
    if hasattr(value, "savefig"):
        image = io.BytesIO()
        value.savefig(image, format="png", dpi=80)
        return {"text/plain": "a figure", "image/png": base64.b64encode(image.getvalue()).decode()}
    data = {"text/plain": repr(value)}
    if hasattr(value, "to_html"):
        data["text/html"] = value.to_html(border=0)
    return data


def main() -> None:
    """Run the notebook with its own parameters, and keep the outputs."""
    notebook = read()
    run(notebook)
    NOTEBOOK.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote {NOTEBOOK}")


if __name__ == "__main__":
    main()
