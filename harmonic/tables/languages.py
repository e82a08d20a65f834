"""What texts a column may hold, as a regular expression; and rows of them as a grammar.

Every language here is finite: categories are listed, and a number has no more digits than the data shows.
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
_EXACT = 2.0**53  # whole numbers below it are floats as they are


def column_language(column: Column, condition: Condition | None = None, written: Callable[[str], str] = str) -> str:
    """The regular expression of the column's texts, as `written` has them.

    With a condition: its values, or its range (harmonic.tables.ranges). Else:

    A number that is the same in all rows: its text. Dates: as they are written. Integers: as many digits as the data's
    range has, without leading zeros, and a sign only where the range has one. Floats: that, a point, and 1 to
    `decimals` decimals ("10.0" for none), in the column's style; where `Column.format` may write an exponent, an
    exponent too. And the text of a missing value, where some are missing.
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
    """The Lark grammar of these languages in a row; the other three are Lark's literals, or nothing."""
    start = f" {between} ".join(f"C{place}" for place in range(len(patterns)))
    # A slash would end the expression.
    lines = [f"C{place}: /{literal('/').join(f'({pattern})'.split('/'))}/" for place, pattern in enumerate(patterns)]
    return "\n".join([f"start: {before} {start} {after}", *lines])


def literal(text: str) -> str:
    """The text as a pattern that matches it alone; what is not a word character is written by its code point."""
    return _SPECIAL.sub(lambda found: f"\\x{{{ord(found[0]):x}}}", text)


def _alternatives(texts: Sequence[str], written: Callable[[str], str]) -> str:
    return "|".join(literal(written(text)) for text in texts)


def _sign(column: Column) -> str:
    if column.maximum < 0:
        return "-"
    return "-?" if column.minimum < 0 else ""


def _largest(column: Column) -> float:
    """The largest magnitude in the data, or what stands for it."""
    bounds = [abs(bound) for bound in (column.minimum, column.maximum) if math.isfinite(bound)]
    return max(bounds, default=10.0**UNKNOWN_DIGITS - 1)


def _whole(column: Column) -> str:
    """The digits before the point: no more than the data has."""
    digits = min(len(str(int(_largest(column)))), MOST_DIGITS)
    return f"(0|[1-9][0-9]{{0,{digits - 1}}})" if digits > 1 else "[0-9]"


def _fraction(column: Column) -> str:
    """The point and what is behind it, in the column's style."""
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
    """The alternatives with an exponent that `str(float)` writes below 1e-4 and from 1e16 on."""
    exponents = []
    if column.decimals > 4:
        exponents.append("-(0[5-9]|[1-9][0-9]{1,2})")
    if _largest(column) >= 1e16:
        exponents.append(r"\+[1-9][0-9]" if _largest(column) < 1e100 else r"\+([1-9][0-9]|[12][0-9]{2})")
    return "".join(rf"|[1-9](\.[0-9]{{1,{MOST_DIGITS - 1}}})?e{exponent}" for exponent in exponents)
