"""Numbers as people write them: decimal comma, thousands, currency, per cent, signs, exponents.

A NumberSpelling maps the file's text to a plain number ("2.206,79 €" to "2206.79"), and back.
harmonic.tables.spellings.number_search finds it from a column's texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

BLANKS = " \u00a0\u202f\u2009"
_LONGEST = 40  # characters of a number; longer texts are not numbers
_TEXT = re.compile(
    rf"(?P<open>\()?(?P<sign>[+\-−])?(?P<prefix>[^\d+\-−().,'’]*?)(?P<inner>[+\-−])?"
    rf"(?P<body>(?:\d[\d.,'’{BLANKS}]*?)|[.,]\d+)(?P<exponent>[eE][+-]?\d{{1,3}})?"
    rf"(?P<suffix>(?:[{BLANKS}]?[^\d+\-−(){BLANKS}.,'’]+){{0,2}}\.?)(?P<trail>-)?(?P<close>\))?"
)
_PLAIN = re.compile(r"-?\d+(\.\d*)?")


class Sign(StrEnum):
    """Where a negative number has its sign."""

    FIRST = "first"  # -$5
    INNER = "inner"  # $-5
    LAST = "last"  # 5-
    BRACKETS = "brackets"  # (5)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSpelling:
    """One way to write numbers.

    `decimal` is before the decimals. `thousands` is between groups of three digits; if `indian`, of the last three
    digits and pairs before them. `prefix` and `suffix` include their blanks. `minus`: the sign of negative numbers.
    `plus`, `plus_zero`: whether positive numbers, and zero, have a plus sign. `bare`: 0.5 is written .5. `mantissa`:
    the decimals before an exponent or a power; None without one. `exponent`: "e" or "E", whether it has a plus sign,
    and its least digits. `powers`: the marks of powers of ten, such as the M in "1.2M", each with its power, the
    largest first; ("", 0) if small numbers have no mark.
    """

    decimal: str = "."
    thousands: str = ""
    indian: bool = False
    prefix: str = ""
    suffix: str = ""
    sign: Sign = Sign.FIRST
    minus: str = "-"
    plus: bool = False
    plus_zero: bool = False
    bare: bool = False
    mantissa: int | None = None
    exponent: tuple[str, bool, int] = ("e", True, 2)
    powers: tuple[tuple[str, int], ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether the file's texts are plain already."""
        return self == NumberSpelling()

    def read(self, text: str) -> str:
        """The plain text of a number. Raises ValueError if it is not written in this way."""
        found = parts_of_number(text)
        if found is None or found["prefix"] != self.prefix:
            raise ValueError(f"{text!r} is not written as {self}")
        if found["suffix"] != self.suffix and found["suffix"] not in dict(self.powers):
            raise ValueError(f"{text!r} is not written as {self}")
        body = found["body"].replace(self.thousands, "") if self.thousands else found["body"]
        whole, point, decimals = body.partition(self.decimal)
        if not (whole + decimals).isascii() or not (whole + decimals).isdigit():
            raise ValueError(f"{text!r} is not written as {self}")
        negative = bool(found["open"] or found["trail"] or {found["sign"], found["inner"]} & {"-", "−"})
        plain = ("-" if negative else "") + (whole or "0") + ("." + decimals if point else "")
        if found["exponent"]:
            plain = str(float(plain + found["exponent"]))
        if self.powers:
            plain = _shortest(Decimal(plain).scaleb(dict(self.powers)[found["suffix"]]))
        if self.write(plain) != text:
            raise ValueError(f"{text!r} is not written as {self}")
        return plain

    def __str__(self) -> str:
        """What is special about this spelling, in words."""
        parts = [
            "…".join(filter(None, (self.prefix.strip(), self.suffix.strip()))),
            "decimal comma" if self.decimal == "," else "",
            f"thousands by {self.thousands!r}" if self.thousands else "",
            "an exponent" if self.mantissa is not None and not self.powers else "",
            f"powers {', '.join(repr(mark) for mark, _ in self.powers)}" if self.powers else "",
            f"sign {self.sign.value}" if self.sign is not Sign.FIRST else "a plus sign" if self.plus else "",
        ]
        return ", ".join(part for part in parts if part) or "plain numbers"

    def write(self, plain: str) -> str:
        """The file's text of a number that `Column.format` wrote."""
        if not _PLAIN.fullmatch(plain):
            plain = f"{Decimal(plain):f}" if self.mantissa is None else plain
        negative = plain.startswith("-")
        size = plain.lstrip("-")
        body = self._with_power(size) if self.powers else self._body(size)
        if self.mantissa is not None and not self.powers:
            body = self._with_exponent(size)
        minus = self.minus if negative else "+" if self.plus_zero or (self.plus and plain.strip("0.")) else ""
        if self.sign is Sign.BRACKETS and negative:
            return f"({self.prefix}{body}{self.suffix})"
        if self.sign is Sign.LAST and negative:
            return f"{self.prefix}{body}{self.suffix}{minus}"
        if self.sign is Sign.INNER:
            return f"{self.prefix}{minus}{body}{self.suffix}"
        return f"{minus}{self.prefix}{body}{self.suffix}"

    def _body(self, plain: str) -> str:
        whole, point, decimals = plain.partition(".")
        if self.thousands:
            whole = _grouped(whole, self.thousands, self.indian)
        if self.bare and whole == "0" and decimals:
            whole = ""
        return whole + (self.decimal + decimals if point else "")

    def _with_power(self, plain: str) -> str:
        number, places = Decimal(plain), self.mantissa or 0
        for place, (mark, power) in enumerate(self.powers):
            if number < Decimal(10) ** power and mark != self.powers[-1][0]:
                continue
            text = f"{number.scaleb(-power):.{places if power else 0}f}"
            if place and Decimal(text) >= 1000:  # rounded up to the next power
                mark, power = self.powers[place - 1]
                text = f"{number.scaleb(-power):.{places}f}"
            return text.replace(".", self.decimal) + mark
        raise AssertionError("the last power takes every number")

    def _with_exponent(self, plain: str) -> str:
        letter, plus, digits = self.exponent
        mantissa, _, power = f"{float(plain):.{self.mantissa}e}".partition("e")
        sign = "-" if power.startswith("-") else "+" if plus else ""
        return f"{mantissa.replace('.', self.decimal)}{letter}{sign}{power.lstrip('+-').lstrip('0').zfill(digits)}"


def parts_of_number(text: str) -> re.Match[str] | None:
    """The parts of a number's text: sign, prefix, body, exponent, suffix and others; None if it is not a number."""
    return _TEXT.fullmatch(text) if len(text) <= _LONGEST else None


def _shortest(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _grouped(whole: str, mark: str, indian: bool) -> str:
    if not indian or len(whole) <= 3:
        return f"{int(whole):,}".replace(",", mark) if whole == str(int(whole)) else whole
    head, tail = whole[:-3], whole[-3:]
    if whole.startswith("0"):
        return whole
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    return mark.join([*pairs, tail])
