"""What a column is for, by evidence: .venv/bin/pytest tests/tables/column_types/test_role_search.py."""

from __future__ import annotations

import ipaddress
import random
import uuid
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from harmonic.datasets import Dataset
from harmonic.errors import ConfigError, DataError
from harmonic.tables.column_types.personal_patterns import count_patterns
from harmonic.tables.column_types.role import Role
from harmonic.tables.column_types.role_search import find_role
from harmonic.tables.spellings.spelling_search import Doubt

ROWS = 120


def column(make: Callable[[random.Random], Any], name: str = "x", people: int = ROWS) -> pd.Series:
    """Texts of so many people, in 120 rows."""
    spin = random.Random(0)
    pool = [str(make(spin)) for _ in range(people)]
    return pd.Series([pool[row % people] for row in range(ROWS)], name=name, dtype=object)


def digits(spin: random.Random, size: int) -> str:
    return str(spin.randint(10 ** (size - 1), 10**size - 1))


def word(spin: random.Random) -> str:
    return "".join(spin.choice("aeioulnst") for _ in range(7))


NAMING: dict[str, Callable[[random.Random], Any]] = {
    "email": lambda spin: f"{word(spin)}@{word(spin)}.org",
    "ssn": lambda spin: f"{digits(spin, 3)}-{digits(spin, 2)}-{digits(spin, 4)}",
    "card": lambda spin: digits(spin, 16),
    "17 digits": lambda spin: digits(spin, 17),
    "whole floats": lambda spin: f"{digits(spin, 9)}.0",
    "phone": lambda spin: f"+49 170 {digits(spin, 7)}",
    "uuid": lambda spin: uuid.UUID(int=spin.getrandbits(128)),
    "ip": lambda spin: ".".join(str(spin.randint(1, 254)) for _ in range(4)),
    "mac": lambda spin: ":".join(f"{spin.randint(0, 255):02x}" for _ in range(6)),
    "code": lambda spin: f"PAT-{digits(spin, 5)}",
    "ten digits": lambda spin: digits(spin, 10),
}


@pytest.mark.parametrize("people", [ROWS, 40], ids=["one row each", "three rows each"])
@pytest.mark.parametrize("kind", NAMING)
def test_values_that_name_someone_are_identifiers_whatever_the_column_is_called(kind: str, people: int) -> None:
    known = column(NAMING[kind], "x", people)
    finding = find_role(known, ROWS)
    assert finding.role is Role.IDENTIFIER and finding.why
    assert finding.grouped is (people < ROWS)


@pytest.mark.parametrize(
    ("make", "name", "people"),
    [
        (lambda spin: f"{word(spin).title()} {word(spin).title()}", "x", ROWS),
        (lambda spin: word(spin).title(), "surname", 40),
        (lambda spin: digits(spin, 5), "customer_id", 40),
        (lambda spin: digits(spin, 4), "patientID", ROWS),
        (lambda spin: f"{digits(spin, 4)}.0", "customer_id", ROWS),
        (lambda spin: f"{word(spin)}{digits(spin, 2)}", "username", ROWS),
        (lambda spin: spin.randint(1, 400), "subject", 30),
        (lambda spin: spin.randint(1, 400), "individual", 40),
    ],
)
def test_a_name_helps_where_values_do_not_tell(make: Any, name: str, people: int) -> None:
    assert find_role(column(make, name, people), ROWS).role is Role.IDENTIFIER


@pytest.mark.parametrize(
    ("make", "name", "people"),
    [
        (lambda spin: spin.randint(1000, 99999), "salary", ROWS),
        (lambda spin: spin.randint(10**9, 10**10 - 1) // 1000 * 1000, "revenue", ROWS),
        (lambda spin: spin.randint(1_600_000_000, 1_700_000_000), "created_at", ROWS),
        (lambda spin: spin.randint(40, 110), "glycemic_index", 60),
        (lambda spin: round(spin.uniform(0, 1), 9), "share", ROWS),
        (lambda spin: f"A{spin.randint(10, 14)}", "status", 5),
        (lambda spin: spin.choice("ab"), "id", ROWS),
        (lambda spin: f"{spin.randint(0, 60):05d}", "zip", 60),
        (lambda spin: f"2024-0{spin.randint(1, 9)}-1{spin.randint(0, 9)}", "x", ROWS),
        (lambda spin: f"{spin.choice(['north', 'south'])}", "name", ROWS),
    ],
)
def test_quantities_and_categories_are_no_identifiers(make: Any, name: str, people: int) -> None:
    assert find_role(column(make, name, people), ROWS).role is None


def test_what_is_not_understood_is_asked_about() -> None:
    known = column(lambda spin: f"{spin.choice('abcde')}{word(spin)}/{word(spin)[: spin.randint(1, 6)]}", "thing")
    finding = find_role(known, ROWS)
    assert finding.role is Role.UNCLEAR and "have no known format" in finding.why
    odd = Doubt("118 of its 120 values are numbers, 2 are not: 'x', 'y'", ("x", "y"))
    numbers = column(lambda spin: f"{spin.uniform(0, 99):.4f}", "size")
    numbers[3], numbers[9] = "x", "y"
    finding = find_role(numbers, ROWS, odd)
    assert (finding.role, finding.against, finding.examples) == (Role.UNCLEAR, 2, ("x", "y"))


MEASURED: dict[str, Callable[[random.Random], Any]] = {
    "range of amounts": lambda spin: f"${digits(spin, 2)},000 - ${digits(spin, 3)},000",
    "place on earth": lambda spin: f"{spin.uniform(50, 53):.4f}, {spin.uniform(12, 14):.4f}",
    "range of numbers": lambda spin: f"{spin.uniform(1, 9):.1f}-{spin.uniform(10, 20):.1f}",
    "dates of two forms": lambda spin: (
        f"{digits(spin, 1)}.1{spin.randint(0, 2)}.2021 ca. {digits(spin, 2)}"
        if spin.random() < 0.5
        else "12 May 19" + digits(spin, 2)
    ),
    "a time and a place": lambda spin: f"{spin.randint(10, 23)}:{spin.randint(10, 59)} hall {digits(spin, 3)}",
}


@pytest.mark.parametrize("kind", MEASURED)
def test_what_measures_is_no_identifier_though_it_is_not_understood(kind: str) -> None:
    """A range of salaries became random digits under the name of an identifier."""
    finding = find_role(column(MEASURED[kind], "x"), ROWS)
    assert finding.role is not Role.IDENTIFIER


@pytest.mark.parametrize(
    "make",
    [
        lambda spin: f"{digits(spin, 3)}.{digits(spin, 3)}.{digits(spin, 3)}-{digits(spin, 2)}",  # Brazil
        lambda spin: f"756.{digits(spin, 4)}.{digits(spin, 4)}.{digits(spin, 2)}",  # Switzerland
        lambda spin: f"{digits(spin, 2)}.{digits(spin, 3)}.{digits(spin, 3)}-{digits(spin, 1)}",  # Chile
        lambda spin: f"{digits(spin, 6)}-{digits(spin, 4)}",  # Sweden
        lambda spin: f"{digits(spin, 6)}{spin.choice('-+A')}{digits(spin, 3)}{spin.choice('ABCDEF')}",  # Finland
        lambda spin: "".join(spin.choice("ABCDEFGH") for _ in range(5)) + digits(spin, 4) + spin.choice("ABC"),  # India
        lambda spin: f"{digits(spin, 4)} {digits(spin, 4)} {digits(spin, 4)}",
        lambda spin: f"{digits(spin, 8)}{spin.choice('TRWAGMYFP')}",  # Spain
        lambda spin: digits(spin, 17) + spin.choice("0123456789X"),  # China
    ],
)
def test_numbers_of_people_of_many_countries_are_identifiers(make: Any) -> None:
    known = column(make, "x")
    assert find_role(known, ROWS).role is Role.IDENTIFIER


def test_some_letters_among_long_numbers_do_not_hide_that_they_name_someone() -> None:
    known = column(lambda spin: digits(spin, 17) + spin.choice("0123456789X"), "x")
    odd = tuple(text for text in known if text.endswith("X"))
    assert find_role(known, ROWS, Doubt("some are no numbers", odd)).role is Role.IDENTIFIER


def test_names_as_east_asia_has_them_are_names() -> None:
    known = column(
        lambda spin: spin.choice("王李张刘陈杨赵黄") + spin.choice("伟芳娜敏静丽强磊") + spin.choice("军洋勇艳"), "姓名"
    )
    assert find_role(known, ROWS).role is Role.IDENTIFIER


def test_codes_of_which_few_come_again_are_identifiers_though_not_all_are_different() -> None:
    """The tail numbers of 600 flights, 512 of them different, were categories, and came out."""
    known = pd.Series([f"N{n + 100}{'AB' if n % 3 else '12'}" for n in range(500)] * 2, name="tail")
    known = pd.concat([known[:500], known[:90]], ignore_index=True)
    assert find_role(known, len(known)).role is Role.IDENTIFIER
    models = pd.Series([f"A{n % 120}-{n % 120}" for n in range(600)], name="model")
    assert find_role(models, len(models)).role is None


def test_models_of_several_makers_are_no_identifiers() -> None:
    """Those of 80 planes, 36 different, were made anew: 893-915 for 737-924."""
    makes = [
        "737-{}24ER",
        "A320-21{}",
        "EMB-145XR{}",
        "CL-600-2B1{}",
        "717-200{}",
        "MD-88{}",
        "757-2Q{}",
        "DHC-8-40{}X",
    ]
    known = pd.Series([makes[n % 8].format(n // 8 % 5) for n in range(80)], name="model", dtype=object)
    assert find_role(known, len(known)).role is None


def test_forms_hold_in_small_tables_and_against_few_others() -> None:
    few = pd.Series(["anna@mail.org", "bo@mail.org", "none", "cy@mail.org"], name="x", dtype=object)
    finding = find_role(few, 4)
    assert (finding.role, finding.against, finding.examples) == (Role.IDENTIFIER, 1, ("none",))
    assert count_patterns(["4111 1111 1111 1111", "5500 0000 0000 0004"]) == {"a card number": 2}
    assert count_patterns(["DE89 3704 0044 0532 0130 00"]) == {"an IBAN": 1}
    assert count_patterns(["DE00 3704 0044 0532 0130 00", "1.2.3", "12:30:15", "a@b"]) == {}


def test_some_addresses_among_categories_are_not_let_out() -> None:
    known = pd.Series(["web", "shop", "mail", "fax"] * 10 + ["anna@mail.org"], name="source", dtype=object)
    assert find_role(known, len(known)).role is Role.UNCLEAR


def visits() -> pd.DataFrame:
    """40 people in 120 rows, with three columns that name them and one that stands for the same."""
    spin = random.Random(1)
    frame = pd.DataFrame({name: column(NAMING[name], name, 40) for name in ("email", "ssn", "code")})
    frame["nickname"] = column(lambda spin: word(spin)[:4], "nickname", 40)
    frame["age"] = [str(spin.randint(18, 90)) for _ in range(ROWS)]
    frame["y"] = [spin.choice("pq") for _ in range(ROWS)]
    return frame


def test_new_identifiers_are_released_and_real_ones_never() -> None:
    frame = visits()
    table, layout, _, notes = Dataset(name="v", target="y", missing="keep").typed(frame)
    assert table.schema.names == ["age", "y"]
    released = layout.release(table.texts(), 0)
    for name in ("email", "ssn", "code", "nickname"):
        assert released[name].is_unique and not set(released[name]) & set(frame[name])
        assert any(f"'{name}'" in note and "taken as independent" in note for note in notes)
    assert "names the same as" in layout.findings["nickname"].why


def test_rows_of_one_made_up_person_may_share_new_identifiers() -> None:
    frame = visits()
    table, layout, _, _ = Dataset(name="v", target="y", missing="keep", identifiers="grouped").typed(frame)
    released = layout.release(table.texts(), 0)
    assert sorted(released["email"].value_counts()) == [3] * 40
    assert len(released[["email", "ssn", "code", "nickname"]].drop_duplicates()) == 40
    assert not set(released["email"]) & set(frame["email"])


def test_identifiers_have_gaps_at_the_rate_of_the_real_ones() -> None:
    frame = visits()
    frame.loc[frame.index % 4 == 0, "email"] = ""
    table, layout, _, _ = Dataset(name="v", target="y", missing="keep").typed(frame)
    share = (layout.release(table.texts(), 0)["email"] == "").mean()
    assert 0.1 < share < 0.4


def test_new_addresses_are_addresses() -> None:
    """They came back as 394.890.717.429."""
    frame = visits().assign(ip=column(NAMING["ip"], "ip"))
    table, layout, _, _ = Dataset(name="v", target="y", missing="keep").typed(frame)
    made = layout.release(table.texts(), 0)["ip"]
    assert made.is_unique and not set(made) & set(frame["ip"])
    assert all(ipaddress.ip_address(text) for text in made)


def test_new_names_have_the_letters_of_the_real_ones() -> None:
    frame = visits().assign(
        姓名=column(lambda spin: "".join(spin.choice("王李张刘陈伟芳娜敏静军洋勇") for _ in range(3)), "姓名")
    )
    table, layout, _, _ = Dataset(name="v", target="y", missing="keep").typed(frame)
    made = layout.release(table.texts(), 0)["姓名"]
    assert not set(made) & set(frame["姓名"]) and all("\u4e00" <= text[0] <= "\u9fff" for text in made)


def test_a_declared_kind_does_not_let_them_out() -> None:
    with pytest.raises(ConfigError, match=r"dataset\.kinds=\{email: category\}(.|\n)*dataset\.release=\[email\]"):
        Dataset(name="v", target="y", missing="keep", kinds={"email": "category"}).typed(visits())
    with pytest.raises(ConfigError, match=r"dataset\.target=email(.|\n)*look like an e-mail address"):
        Dataset(name="v", target="email", missing="keep").typed(visits())
    free = Dataset(name="v", target="y", missing="keep", kinds={"email": "category"}, release=["email"])
    assert "email" in free.typed(visits())[0].schema.names
    with pytest.raises(ConfigError, match=r"dataset\.release=emial(.|\n)*'email'"):
        Dataset(name="v", target="y", missing="keep", release=["emial"]).typed(visits())


def test_the_gate_stops_a_release_with_the_column() -> None:
    table, layout, _, _ = Dataset(name="v", target="y", missing="keep").typed(visits())
    released = layout.release(table.texts(), 0)
    released.loc[5, "ssn"] = visits()["ssn"][0]
    with pytest.raises(DataError, match=r"column 'ssn': 1 values that name someone(.|\n)*nothing is written"):
        layout.check(released)
