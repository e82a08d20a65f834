"""What the wrappers around foreign methods promise alike, for the tests of each."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harmonic.tables.splits import Splits

ROOT = Path(__file__).resolve().parents[2]


def assert_conforms(found: pd.DataFrame, splits: Splits, n: int) -> None:
    """There are n rows of the schema's columns, types, decimals and categories, within the training rows' ranges."""
    real = splits.train.frame
    assert len(found) == n and list(found) == list(real) and list(found.dtypes) == list(real.dtypes)
    pd.testing.assert_frame_equal(splits.schema.conform(found), found)
    for name in splits.schema.numeric:
        assert found[name].between(real[name].min(), real[name].max()).all()
        assert (found[name] == found[name].round(splits.schema[name].decimals)).all()


def uninstall(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the package were not installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)


def drawn_apart(setup: str, folder: Path) -> tuple[Any, Any]:
    """Nine rows, as columns, that a process draws after fitting, and those of another one that loads what it left.

    setup: code of imports from tests/baselines that ends with `splits` and `generator`.
    """
    outputs = []
    for name, fit in (("fitted", True), ("loaded", False)):
        code = (
            f"import sys\nfrom pathlib import Path\nsys.path.insert(0, 'tests/baselines')\n{setup}\n"
            f"folder = Path({str(folder)!r})\n"
            f"if {fit}:\n    generator.fit(splits, seed=0, prepared=folder, directory=folder)\n"
            "generator.load(splits, prepared=folder, directory=folder)\n"
            f"print(generator.sample(9, seed=0, directory=folder / {name!r}).frame.to_json())"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        outputs.append(json.loads(done.stdout.splitlines()[-1]))
    assert all(len(column) == 9 for column in outputs[0].values())
    return outputs[0], outputs[1]
