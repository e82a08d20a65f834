"""The notebook runs from top to bottom, and what it shows is kept in it."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from experiments.docs.notebook import markdown, read, run

TINY = {"MODEL": "tiny", "SCALE": "smoke", "ROWS": 12}


def shapes(notebook: dict[str, Any]) -> list[list[str]]:
    """What kinds of output each cell has."""
    return [[output["output_type"] for output in cell.get("outputs", ())] for cell in notebook["cells"]]


def test_the_notebook_runs_with_a_tiny_model() -> None:
    notebook = read()
    kept = copy.deepcopy(notebook)
    names = run(notebook, TINY)
    assert len(names["synthetic"]) == 12 and list(names["synthetic"]) == list(names["frame"])
    assert set(names["some"]["Outcome"]) == {1} and names["some"]["Age"].between(30, 50).all()
    assert shapes(notebook) == shapes(kept)  # other numbers in the same places


@pytest.mark.slow
def test_the_notebook_runs_with_the_real_model() -> None:
    names = run(read(), {"MODEL": "smollm2_135m", "SCALE": "quick", "ROWS": 128})
    assert len(names["synthetic"]) == 128
    assert names["score"] > 0.6  # of a forest that learnt from synthetic rows


def test_every_cell_was_run_in_order_and_its_outputs_are_kept() -> None:
    cells = [cell for cell in read()["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert sum(bool(cell["outputs"]) for cell in cells) >= len(cells) - 1  # the parameters show nothing
    page = markdown(read())
    assert page.count("```python") == len(cells) and "<table" in page and "data:image/png;base64," in page


def test_a_cell_shows_what_it_prints_and_its_last_value() -> None:
    source = ["print('a')\n", "x = 2\n", "x + 1"]
    notebook = {"cells": [{"cell_type": "code", "metadata": {}, "source": source, "outputs": []}]}
    assert run(notebook)["x"] == 2
    printed, value = notebook["cells"][0]["outputs"]
    assert printed["text"] == "a\n" and value["data"] == {"text/plain": "3"}
    assert markdown(notebook) == "```python\nprint('a')\nx = 2\nx + 1\n```\n\n```text\na\n```\n\n```text\n3\n```\n"
    with pytest.raises(ZeroDivisionError):
        run({"cells": [{"cell_type": "code", "metadata": {}, "source": ["1 / 0"]}]})
