"""Regular expressions for the texts of numbers and dates between two bounds. A grammar enforces them.

They match finitely many texts: numbers have at most `places` decimals, and no leading zeros.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from harmonic.tables.columns import Style
from harmonic.tables.spellings.date_formats import format_date

_FIELD = re.compile(r"%-?[a-zA-Z]")
_SPANS = {"Y": (1000, 9999), "m": (1, 12), "d": (1, 31), "H": (0, 23), "M": (0, 59), "S": (0, 59), "f": (0, 999_999)}
_WIDTHS = {"Y": 4, "f": 6}  # digits; the others have 2


def integers(low: int, high: int) -> str | None:
    """The integers from `low` to `high`; None if there are none."""
    return _signed(low, high, _wholes)


def decimals(low: Decimal, high: Decimal, places: int, style: Style) -> str | None:
    """The decimal texts of a float column of this style, from `low` to `high`; None if there are none."""
    unit = Decimal(10) ** places
    first = int((low * unit).to_integral_value(ROUND_CEILING))
    last = int((high * unit).to_integral_value(ROUND_FLOOR))
    return _signed(first, last, lambda least, most: _fixed_point(least, most, places, style))


def dates(low: int, high: int, form: str) -> str | None:
    """The dates from number `low` to number `high` in the format `form`; None if there are none.

    A day that its month does not have counts as the month's last day, as in harmonic.tables.spellings.date_formats.
    """
    if low > high:
        return None
    parts = _FIELD.split(form)
    fields = [field[-1] for field in _FIELD.findall(form)]
    plain = {field[-1] for field in _FIELD.findall(form) if "-" in field}
    ranked = [name for name in _SPANS if name in fields]
    canonical = " ".join(f"%{name}" for name in ranked)
    bounds = [[int(text) for text in format_date(number, canonical).split()] for number in (low, high)]
    written = []
    for box in _boxes(bounds[0], bounds[1], [_SPANS[name] for name in ranked]):
        spans = dict(zip(ranked, box, strict=True))
        texts = [_padded(*spans[name], 0 if name in plain else _WIDTHS.get(name, 2)) for name in fields]
        # There is one part more than fields: before the first, between them, and after the last.
        written.append("".join(re.escape(part) + text for part, text in zip(parts, [*texts, ""], strict=True)))
    return _any(written)


def _signed(low: int, high: int, magnitudes: object) -> str | None:
    """Numbers from `low` to `high`, in units. `magnitudes` writes those from 0 up."""
    written = []
    if low < 0:
        written.append("-" + magnitudes(max(-high, 1), -low))  # type: ignore[operator]  # no "-0"
    if high >= 0 and high >= low:
        written.append(magnitudes(max(low, 0), high))  # type: ignore[operator]
    return _any(written) if low <= high else None


def _wholes(low: int, high: int) -> str:
    """Whole numbers without leading zeros, 0 <= low <= high."""
    written = []
    for digits in range(len(str(low)), len(str(high)) + 1):
        least = 10 ** (digits - 1) if digits > 1 else 0
        written.append(_digits(str(max(low, least)), str(min(high, 10**digits - 1))))
    return _any(written)


def _padded(low: int, high: int, width: int) -> str:
    """Whole numbers with leading zeros up to `width` digits; without leading zeros if it is 0."""
    return _digits(str(low).zfill(width), str(high).zfill(width)) if width else _wholes(low, high)


def _digits(low: str, high: str) -> str:
    """Texts of digits between two texts of the same length."""
    rest = len(low)
    if low == "0" * rest and high == "9" * rest:
        return f"[0-9]{{{rest}}}" if rest else ""
    if low[0] == high[0]:
        return low[0] + _digits(low[1:], high[1:])
    return _any([first + _digits(low_rest, high_rest) for first, low_rest, high_rest in _by_first_digit(low, high)])


def _fixed_point(low: int, high: int, places: int, style: Style) -> str:
    """Decimal texts from `low` to `high`, both in units of the last place and not negative."""
    if not places:
        return _wholes(low, high) + (r"\.0" if style is Style.SHORTEST else "")
    nines = 10**places - 1
    (first, first_rest), (last, last_rest) = divmod(low, nines + 1), divmod(high, nines + 1)
    if first == last:
        return _wholes(first, first) + _after_point(first_rest, last_rest, places, style)
    written = []
    if first_rest:
        written.append(_wholes(first, first) + _after_point(first_rest, nines, places, style))
        first += 1
    if last_rest < nines:
        written.append(_wholes(last, last) + _after_point(0, last_rest, places, style))
        last -= 1
    if first <= last:
        written.append(_wholes(first, last) + _after_point(0, nines, places, style))
    return _any(written)


def _after_point(low: int, high: int, places: int, style: Style) -> str:
    """The point and the digits after it, from `low` to `high` in units of the last place."""
    least, most = str(low).zfill(places), str(high).zfill(places)
    if style in (Style.FIXED, Style.MONEY):
        text = r"\." + _digits(least, most)
        return f"({text})?" if style is Style.MONEY and not low else text
    text = r"\." + _fraction(least, most)
    return f"({text})?" if style is Style.PLAIN and not low else text


def _fraction(low: str, high: str) -> str:
    """Texts of 1 to len(low) digits that are between the two when zeros fill them up."""
    rest = len(low)
    if low == "0" * rest and high == "9" * rest:
        return f"[0-9]{{1,{rest}}}"
    written = []
    for first, low_rest, high_rest in _by_first_digit(low, high):
        after = _fraction(low_rest, high_rest) if low_rest else ""
        written.append(first + (f"({after})?" if after and not int(low_rest) else after))
    return _any(written)


def _by_first_digit(low: str, high: str) -> Iterator[tuple[str, str, str]]:
    """The first digits of texts between the two, each with the bounds of the digits after it."""
    zeros, nines = "0" * (len(low) - 1), "9" * (len(low) - 1)
    first, last = int(low[0]), int(high[0])
    if first == last:
        yield low[0], low[1:], high[1:]
        return
    if low[1:] != zeros:
        yield str(first), low[1:], nines
        first += 1
    if high[1:] != nines:
        yield str(last), zeros, high[1:]
        last -= 1
    if first <= last:
        yield f"[{first}-{last}]", zeros, nines


def _boxes(low: list[int], high: list[int], spans: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """The tuples between `low` and `high` in lexicographic order, as products of intervals."""
    if not low:
        yield []
        return
    rest = spans[1:]
    if low[0] == high[0]:
        yield from ([(low[0], low[0]), *box] for box in _boxes(low[1:], high[1:], rest))
        return
    least, most = [span[0] for span in rest], [span[1] for span in rest]
    yield from ([(low[0], low[0]), *box] for box in _boxes(low[1:], most, rest))
    if high[0] - low[0] > 1:
        yield [(low[0] + 1, high[0] - 1), *rest]
    yield from ([(high[0], high[0]), *box] for box in _boxes(least, high[1:], rest))


def _any(written: list[str]) -> str:
    """The expression for any one of these."""
    return written[0] if len(written) == 1 else "(" + "|".join(written) + ")"
