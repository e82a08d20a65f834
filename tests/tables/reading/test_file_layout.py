"""Columns that no generator sees, and the file: .venv/bin/pytest tests/tables/reading/test_file_layout.py."""

from __future__ import annotations

import re
import uuid
from typing import Any

import numpy as np
import pandas as pd
import pytest

from harmonic.errors import ConfigError, DataError
from harmonic.tables.column_types.role import Role
from harmonic.tables.column_types.role_search import find_role
from harmonic.tables.new_identifiers import NewIdentifiers
from harmonic.tables.reading.aside import Aside
from harmonic.tables.reading.dialect import Dialect
from harmonic.tables.reading.file_layout import FileLayout
from harmonic.tables.reading.layout_search import find_layout

N = 40


def column(values: list[Any], name: str = "x") -> pd.Series:
    return pd.Series([str(value) for value in values], name=name, dtype=object)


def layout(frame: pd.DataFrame, **settings: Any) -> tuple[FileLayout, list[str]]:
    return find_layout(
        frame, frame == "", target=settings.pop("target", None), kinds=settings.pop("kinds", {}), **settings
    )


@pytest.mark.parametrize(
    ("values", "name", "role"),
    [
        (list(range(100, 100 + N)), "x", Role.IDENTIFIER),  # counted through
        ([7 * n % 997 for n in range(N)], "customer_id", Role.IDENTIFIER),
        ([7 * n % 997 for n in range(N)], "customerID", Role.IDENTIFIER),
        ([7 * n % 997 for n in range(N)], "paid", None),  # all different, but a quantity
        ([n % 7 for n in range(N)], "id", None),  # comes twice
        ([uuid.UUID(int=n) for n in range(N)], "x", Role.IDENTIFIER),
        ([f"user{n}@mail.org" for n in range(N)], "x", Role.IDENTIFIER),
        ([f"the patient felt better on day {n}" for n in range(N)], "x", Role.TEXT),
        ([f"2024-01-{1 + n % 28:02d} 00:00:{n:02d}" for n in range(N)], "x", None),  # dates differ, too
        ([n + 0.5 for n in range(N)], "x", None),
        (["a"] * N, "x", Role.CONSTANT),
        (["a", "b"] * (N // 2), "x", None),
        ([f"c{n}" for n in range(10)], "x", None),  # too few rows to tell
    ],
)
def test_role_follows_from_the_values(values: list[Any], name: str, role: Role | None) -> None:
    assert find_role(column(values, name), len(values)).role is role


def test_release_has_the_files_columns_in_its_order() -> None:
    frame = pd.DataFrame({"id": column(list(range(N))), "a": column(["x", "y"] * 20), "one": column(["c"] * N)})
    found, remarks = layout(frame)
    assert [aside.name for aside in found.asides] == ["id", "one"]
    released = found.release(pd.DataFrame({"a": ["y", "y", "x"]}), seed=0)
    assert list(released) == ["id", "a", "one"]
    assert released["id"].tolist() == ["40", "41", "42"]  # behind the real ones
    assert released["one"].tolist() == ["c"] * 3
    assert any("'id' is an identifier" in remark for remark in remarks)


@pytest.mark.parametrize(
    "make", [lambda n: str(uuid.UUID(int=n << 90)), lambda n: f"PAT-{n:04d}", lambda n: f"Ünal {n}"]
)
def test_new_identifiers_are_like_the_real_ones_and_none_of_them(make: Any) -> None:
    real = [make(n) for n in range(N)]
    (aside,) = layout(pd.DataFrame({"key": column(real), "a": column(["x", "y"] * 20)}))[0].asides
    made = aside.cells(200, np.random.default_rng(0))
    assert len(set(made)) == 200
    assert not set(made) & set(real)
    if real[0].startswith("PAT"):
        assert all(re.fullmatch(r"PAT-\d{4}", text) for text in made)
    assert made == aside.cells(200, np.random.default_rng(0))


def test_a_shape_without_room_grows() -> None:
    new = NewIdentifiers(shapes=(("0", 1),), alphabets=("01", "a", "A", "é"), taken=frozenset("01"))
    aside = Aside(name="x", role=Role.IDENTIFIER, new=new)
    assert len(set(aside.cells(50, np.random.default_rng(0)))) == 50


def test_what_to_do_can_be_chosen() -> None:
    prose = [f"the patient felt better on day {n}" for n in range(N)]
    frame = pd.DataFrame({"id": column(list(range(N))), "text": column(prose), "a": column(["x", "y"] * 20)})
    kept = layout(frame, identifiers="drop", free_text="drop")[0].release(pd.DataFrame({"a": ["x"]}), seed=0)
    assert list(kept) == ["a"]
    assert layout(frame, kinds={"id": "integer", "text": "category"})[0].asides == ()
    found, _ = layout(frame.assign(b=frame["a"]), kinds={"a": "drop"})
    assert [aside.role for aside in found.asides] == ["identifier", "text", "drop"]


def test_free_text_is_blank_in_the_files_own_way() -> None:
    texts = column(["" if n == 3 else f"the patient felt better on day {n}" for n in range(N)])
    (aside,) = layout(pd.DataFrame({"note": texts, "a": column(["x", "y"] * 20)}))[0].asides
    assert aside.cells(2, np.random.default_rng(0)) == ["", ""]


def test_wrong_settings_and_empty_tables_are_refused() -> None:
    frame = pd.DataFrame({"id": column(list(range(N))), "one": column(["c"] * N)})
    with pytest.raises(DataError, match=r"no column is left(.|\n)*'id'(.|\n)*'one'"):
        layout(frame)
    with pytest.raises(ConfigError, match=r"dataset\.identifiers=hash(.|\n)*new"):
        layout(frame, identifiers="hash")
    with pytest.raises(ConfigError, match=r"the target must be learnt"):
        layout(frame, target="id", kinds={"id": "identifier"})


def test_the_wording_of_notes_is_no_part_of_a_files_fingerprint() -> None:
    plain, noted = (FileLayout(("a",), dialect=Dialect(notes=notes)) for notes in ((), ("the first line is a title",)))
    assert plain.fingerprint() == noted.fingerprint()
    assert plain.fingerprint() != FileLayout(("a",), dialect=Dialect(delimiter=";")).fingerprint()
