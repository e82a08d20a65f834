"""The texts that a column may hold, as a regular expression; and rows of such texts as a grammar.

There are finitely many texts: categories are listed, and numbers have no more digits than the data.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from harmonic.tables.columns import Column, Kind, Style
from harmonic.tables.conditions import MOST_DIGITS, UNKNOWN_DIGITS, Condition
from harmonic.tables.spellings import date_formats as dates

_SPECIAL = re.compile(r"[^\w]", re.ASCII)
_EXACT = 2.0**53  # smaller whole numbers are exact as floats


def column_language(column: Column, condition: Condition | None = None, written: Callable[[str], str] = str) -> str:
    """The regular expression of the column's texts, as `written` writes them.

    With a condition: its values, or its range (harmonic.tables.ranges). Without one:

    A number that is the same in all rows: its text. Dates: in their format. Integers: as many digits as the data has,
    without leading zeros, and with a sign only if the data has negative numbers. Floats: the same, then a point and 1
    to `decimals` decimals ("10.0" for none), in the column's style, and an exponent if `Column.format` may write one.
    Also the text of a missing value, if values are missing.
    """
    if condition is not None:
        return _alternatives(condition.texts(), written) if condition.values else condition.pattern() or ""
    if column.kind is Kind.CATEGORY:
        value = _alternatives(column.categories, written)
    elif column.minimum == column.maximum and abs(column.minimum) < _EXACT:
        value = literal(written(replace(column, missing=None).format(column.minimum)))
    elif column.date_format is not None:
        value = dates.pattern(column.date_format, column.minimum, column.maximum)
    elif column.kind is Kind.INTEGER:
        value = _sign(column) + _whole(column)
    else:
        value = rf"{_sign(column)}({_whole(column)}{_fraction(column)}{_scientific(column)})"
    return value if column.missing is None else f"{value}|{literal(written(column.missing))}"


def lark(before: str, between: str, after: str, patterns: Sequence[str]) -> str:
    """The Lark grammar of a row of texts that match `patterns`. `before`, `between`, `after`: Lark literals, or ""."""
    start = f" {between} ".join(f"C{place}" for place in range(len(patterns)))
    # A slash would end the expression.
    lines = [f"C{place}: /{literal('/').join(f'({pattern})'.split('/'))}/" for place, pattern in enumerate(patterns)]
    return "\n".join([f"start: {before} {start} {after}", *lines])


def literal(text: str) -> str:
    """The pattern that matches only this text. Characters that are not in words are written as code points."""
    return _SPECIAL.sub(lambda found: f"\\x{{{ord(found[0]):x}}}", text)


def _alternatives(texts: Sequence[str], written: Callable[[str], str]) -> str:
    return "|".join(literal(written(text)) for text in texts)


def _sign(column: Column) -> str:
    if column.maximum < 0:
        return "-"
    return "-?" if column.minimum < 0 else ""


def _largest(column: Column) -> float:
    """The largest magnitude in the data; the largest number of UNKNOWN_DIGITS digits if the range is unknown."""
    bounds = [abs(bound) for bound in (column.minimum, column.maximum) if math.isfinite(bound)]
    return max(bounds, default=10.0**UNKNOWN_DIGITS - 1)


def _whole(column: Column) -> str:
    """The digits before the point: at most as many as in the data."""
    digits = min(len(str(int(_largest(column)))), MOST_DIGITS)
    return f"(0|[1-9][0-9]{{0,{digits - 1}}})" if digits > 1 else "[0-9]"


def _fraction(column: Column) -> str:
    """The point and the digits after it, in the column's style."""
    most = min(column.decimals, MOST_DIGITS)
    if column.style is Style.FIXED:
        return rf"\.[0-9]{{{column.decimals}}}"
    if column.style is Style.MONEY:
        return rf"(\.[0-9]{{{column.decimals}}})?" if column.decimals else ""
    decimals = rf"\.[0-9]{{1,{most}}}" if most else r"\.0"
    if column.style is Style.PLAIN:
        return f"({decimals})?" if most else ""
    return decimals


def _scientific(column: Column) -> str:
    """The alternatives with an exponent, which `str(float)` writes below 1e-4 and from 1e16 on."""
    exponents = []
    if column.decimals > 4:
        exponents.append("-(0[5-9]|[1-9][0-9]{1,2})")
    if _largest(column) >= 1e16:
        exponents.append(r"\+[1-9][0-9]" if _largest(column) < 1e100 else r"\+([1-9][0-9]|[12][0-9]{2})")
    return "".join(rf"|[1-9](\.[0-9]{{1,{MOST_DIGITS - 1}}})?e{exponent}" for exponent in exponents)
