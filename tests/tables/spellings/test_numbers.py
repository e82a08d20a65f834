"""Numbers as people write them: .venv/bin/pytest tests/tables/spellings/test_numbers.py."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harmonic.tables.spellings.number_search import decimal_mark, find_numbers
from harmonic.tables.spellings.numbers import NumberSpelling, Sign


@pytest.mark.parametrize(
    ("texts", "plain"),
    [
        (["2206,79", "1463,99"], ["2206.79", "1463.99"]),
        (["65,1 %", "7,0 %"], ["65.1", "7.0"]),
        (["66.5%", "4.4%"], ["66.5", "4.4"]),
        (["$15,094.25", "$599.64"], ["15094.25", "599.64"]),
        (["45,282", "192,508", "999"], ["45282", "192508", "999"]),
        (["1.234,50 €", "12,00 €"], ["1234.50", "12.00"]),
        (["1\u202f234,5", "12,5"], ["1234.5", "12.5"]),
        (["1'234.50", "5.00"], ["1234.50", "5.00"]),
        (["12,34,567", "1,00,000", "500"], ["1234567", "100000", "500"]),  # as in India
        (["(5.00)", "1,234.00"], ["-5.00", "1234.00"]),
        (["5-", "6"], ["-5", "6"]),
        (["-$5", "$6"], ["-5", "6"]),
        (["$-5", "$6"], ["-5", "6"]),
        (["−5", "3"], ["-5", "3"]),
        (["+5", "-3", "0"], ["5", "-3", "0"]),
        (["+5", "+0"], ["5", "0"]),
        ([".5", "1.25", "-.5"], ["0.5", "1.25", "-0.5"]),
        (["1.50E+03", "2.25E-07"], ["1500.0", "2.25e-07"]),
        (["1,5e3", "2,5e0"], ["1500.0", "2.5"]),
        (["12 kg", "5 kg"], ["12", "5"]),
        (["EUR 5", "EUR 6"], ["5", "6"]),
        (["R$ 5", "R$ 6"], ["5", "6"]),
        (["$2.08M", "$2.40M"], ["2.08", "2.40"]),
        (["1.20K", "345.00K", "3.05M"], ["1200", "345000", "3050000"]),
        (["950", "1.2K", "-3.4M"], ["950", "1200", "-3400000"]),
        (["1,5 Mio.", "2,0 Mrd."], ["1500000", "2000000000"]),
        (["8,336 sqft", "12,000 sqft", "950 sqft"], ["8336", "12000", "950"]),  # a unit that no list has
        (["12 sq ft", "5 sq ft"], ["12", "5"]),
        (["$120/mo", "$95/mo"], ["120", "95"]),
        (["12 sq ft", "5 sq ft", "9 sq ft"], ["12", "5", "9"]),
        (["±113", "±7"], ["113", "7"]),
    ],
)
def test_every_text_is_read_and_given_back(texts: list[str], plain: list[str]) -> None:
    spelling, _ = find_numbers(texts)
    assert spelling is not None and not spelling.is_plain
    assert [spelling.read(text) for text in texts] == plain
    assert [spelling.write(text) for text in plain] == texts


@pytest.mark.parametrize(
    "texts",
    [
        ["A11", "A12"], ["PAT-5", "PAT-6"], ["10:30", "11:45"], ["11.08.2021"], ["2E5", "7E2"], ["1-2", "3-4"],
        ["north", "south"], ["5 apples", "6 pears"], ["1,23,45", "x"], ["555-1234", "555-9876"], ["1..2", "3..4"],
    ],
)  # fmt: skip
def test_what_is_no_number_stays_a_text(texts: list[str]) -> None:
    assert find_numbers(texts) == (None, None)


@pytest.mark.parametrize("number", ["999999", "999994", "1000", "999", "0", "-1234567", "12"])
def test_a_number_between_two_powers_is_written_and_read(number: str) -> None:
    spelling, _ = find_numbers(["950", "1.25K", "3.40M"])
    assert spelling is not None
    text = spelling.write(number)
    assert spelling.write(spelling.read(text)) == text and not text.startswith(("1000.", "-1000."))


def test_a_unit_of_a_columns_own_is_one_beside_texts_for_missing_values_too() -> None:
    spelling, _ = find_numbers(["12,5 sq ft", "5,0 sq ft", "9,3 sq ft", "n/a"])
    assert spelling is not None and spelling.suffix == " sq ft"
    assert find_numbers(["12 north", "5 south", "9 east"]) == (None, None)


def test_plain_numbers_have_no_spelling() -> None:
    for texts in (["1", "2.5"], ["-3", "10.00"], ["89.210", "115.329"]):
        spelling, _ = find_numbers(texts)
        assert spelling is not None and spelling.is_plain


def test_two_readings_are_told_and_the_decimal_mark_decides() -> None:
    texts = ["45,282", "192,508"]
    first, second = find_numbers(texts)
    assert first is not None and second is not None
    assert (first.read("45,282"), second.read("45,282")) == ("45282", "45.282")
    other, _ = find_numbers(texts, ",")
    assert other is not None and other.read("45,282") == "45.282"
    assert find_numbers(["0,123", "4,567"])[1] is None  # no thousands begin with a zero


def test_decimals_that_nobody_writes_are_thousands() -> None:
    first, _ = find_numbers(["CHF 127.917", "CHF 249.800", "CHF 590"])
    assert first is not None and first.read("CHF 249.800") == "249800"


def test_a_mark_is_proven_by_decimals_and_by_thousands() -> None:
    assert decimal_mark(NumberSpelling(), ["1.5"]) == "."
    assert decimal_mark(NumberSpelling(thousands=","), ["1,500"]) == "."
    assert decimal_mark(NumberSpelling(decimal=","), ["1,5"]) == ","
    assert decimal_mark(NumberSpelling(), ["15"]) is None


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.decimals(-(10**9), 10**9, places=2),
    st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'"), (".", ""), (",", "")]),
    st.sampled_from(list(Sign)),
    st.sampled_from([("", ""), ("$", ""), ("", " %"), ("CHF ", "")]),
)
def test_any_number_survives_any_spelling(
    number: object, marks: tuple[str, str], sign: Sign, affixes: tuple[str, str]
) -> None:
    spelling = NumberSpelling(decimal=marks[0], thousands=marks[1], sign=sign, prefix=affixes[0], suffix=affixes[1])
    plain = f"{number:.2f}".replace("-0.00", "0.00")
    assert spelling.read(spelling.write(plain)) == plain


@pytest.mark.parametrize("plain", ["1e-07", "1.5e+20", "-2.5e-05"])
def test_what_python_writes_with_an_exponent_is_written_out(plain: str) -> None:
    spelling = NumberSpelling(decimal=",")
    assert float(spelling.read(spelling.write(plain))) == float(plain)
