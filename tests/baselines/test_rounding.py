"""Real numbers become values of their columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from toys import make_schema

from baselines.rounding import rounded
from harmonic.errors import DataError

SCHEMA = make_schema(decimals=1)


def test_integers_and_decimals_are_rounded_and_columns_ordered() -> None:
    given = pd.DataFrame({"y": ["b", "a"], "x": [0.26, -0.01], "n": [2.6, -0.2]})
    found = rounded(given, SCHEMA)
    assert found.to_dict("list") == {"n": [3, 0], "x": [0.3, 0.0], "y": ["b", "a"]}
    assert found["n"].dtype == np.int64 and not np.signbit(found["x"]).any()
    assert given["n"].tolist() == [2.6, -0.2]  # the argument is left alone


@pytest.mark.parametrize("bad", [{"x": [np.nan]}, {"y": ["c"]}])
def test_what_rounding_cannot_mend_is_an_error(bad: dict[str, list[object]]) -> None:
    with pytest.raises(DataError, match=next(iter(bad))):
        rounded(pd.DataFrame({"n": [1], "x": [1.0], "y": ["a"], **bad}), SCHEMA)
