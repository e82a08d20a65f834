"""Numbers as people write them: decimal comma, thousands, currency, per cent, signs, exponents.

A spelling maps the file's text of a number to the plain one that the rest of the program knows ("2.206,79 €" to
"2206.79") and back. It is found from a column's texts, and only one that gives every text back is taken.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

_BLANKS = " \u00a0\u202f\u2009"
_CURRENCIES = (
    "EUR USD GBP CHF JPY CNY SEK NOK DKK PLN CZK HUF RON BGN TRY RUB INR BRL MXN CAD AUD NZD ZAR KRW SGD HKD "
    "kr Kr kr. zł Kč Ft lei R$ Fr Fr. Rs Rs. Euro euro"
).split()
_UNITS = (
    "% ‰ ° °C °F K kg g mg µg t lb lbs oz km m cm mm mi ft in l L ml mL dl h min s ms kWh MWh W kW MW V A Hz MHz GHz "
    "mmHg bpm mg/dl mg/dL mmol/l mmol/L km/h mph m² m2 km² ha px pt x k M m B bn Mio Mio. Mrd Mrd."
).split()
_MARKS = "± ~ ≈ ca. c.".split()  # in front of a number that is not exact
_POWERS = {
    "K": 3, "k": 3, "tsd": 3, "Tsd.": 3, "M": 6, "m": 6, "Mio": 6, "Mio.": 6, "B": 9, "b": 9, "bn": 9, "Mrd": 9,
    "Mrd.": 9, "T": 12,
}  # fmt: skip
_AFFIXES = {*_CURRENCIES, *_UNITS, *_POWERS}
_MOST_OTHERS = 5  # different texts that are no numbers, beside which all others may have a unit of their own
_MOST_DIGITS = 40  # of a number's text; longer ones are none
_TEXT = re.compile(
    rf"(?P<open>\()?(?P<sign>[+\-−])?(?P<prefix>[^\d+\-−().,'’]*?)(?P<inner>[+\-−])?"
    rf"(?P<body>(?:\d[\d.,'’{_BLANKS}]*?)|[.,]\d+)(?P<exponent>[eE][+-]?\d{{1,3}})?"
    rf"(?P<suffix>(?:[{_BLANKS}]?[^\d+\-−(){_BLANKS}.,'’]+){{0,2}}\.?)(?P<trail>-)?(?P<close>\))?"
)
_PLAIN = re.compile(r"-?\d+(\.\d*)?")
_OWN_UNIT = re.compile(rf"[{_BLANKS}][^\W\d_]{{2,12}}([{_BLANKS}][^\W\d_]{{1,12}})?|/[^\W\d_]{{1,8}}")
"""What stands behind every number of a column is its unit, though no list has it: " sqft", " sq ft", "/mo"."""


class Sign(StrEnum):
    """Where a negative number has its sign."""

    FIRST = "first"  # -$5
    INNER = "inner"  # $-5
    LAST = "last"  # 5-
    BRACKETS = "brackets"  # (5)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberSpelling:
    """One way to write numbers.

    `decimal` stands before the decimals, `thousands` between groups of digits: three each, or, where `indian`, the
    last three and pairs before them. `prefix` and `suffix` hold their blanks. `minus` is the sign of negative numbers,
    `plus` whether positive ones have one, and `plus_zero` whether zero has; `bare`: 0.5 is written .5. `mantissa`: the
    decimals before an exponent or a power, None without one; `exponent`: "e" or "E", its plus sign, and the least
    digits behind. `powers`: what stands for powers of ten in "1.2M", the largest first, each with its power; ("", 0)
    where small numbers have none.
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
        """Whether the texts are what the program reads anyway."""
        return self == NumberSpelling()

    def read(self, text: str) -> str:
        """The plain text of a number. Raises ValueError where it is not written so."""
        found = _TEXT.fullmatch(text) if len(text) <= _MOST_DIGITS else None
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
        """What is special about it, in words."""
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
        """The text of a number as `Column.format` has it."""
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


def find_numbers(
    values: Collection[str], decimal: str | None = None
) -> tuple[NumberSpelling | None, NumberSpelling | None]:
    """The spelling in which most of the distinct texts are written and given back, and a second reading if one fits.

    The first is None where fewer than half of them are numbers. `decimal`: the mark before decimals ("." or ",")
    where that is known.
    """
    sure: list[NumberSpelling] = []
    found = [match for text in values if len(text) <= _MOST_DIGITS and (match := _TEXT.fullmatch(text))]
    suffixes = {match["suffix"] for match in found}
    own = suffixes.pop() if len(found) >= len(values) - _MOST_OTHERS and len(suffixes) == 1 else ""
    if not _OWN_UNIT.fullmatch(own):
        own = ""
    found = [m for m in found if _is_affix(m["prefix"], front=True) and (_is_affix(m["suffix"]) or m["suffix"] == own)]
    if not found or len(found) * 2 < len(values):
        return None, None
    powered = _powered(found)
    if powered is not None and _count(powered, [match[0] for match in found]) * 2 >= len(values):
        return powered, None
    affixes = Counter((match["prefix"], match["suffix"]) for match in found)
    (prefix, suffix), _ = affixes.most_common(1)[0]
    found = [match for match in found if (match["prefix"], match["suffix"]) == (prefix, suffix)]
    texts = [match[0] for match in found]
    for shape in _shapes(found, prefix, suffix):
        if _count(shape, texts) * 2 >= len(values):
            sure.append(shape)
    if not sure:
        return None, None
    counts = {shape: _count(shape, texts) for shape in sure}
    best = max(counts.values())
    fitting = [shape for shape in sure if counts[shape] == best]
    fitting.sort(key=lambda shape: not _is_even(shape, texts))
    if decimal is not None:
        fitting.sort(key=lambda shape: decimal_mark(shape, texts) not in (decimal, None))
    # Another reading is one that gives other numbers.
    first = fitting[0]
    sample = [text for text in texts if _fits(first, text)]
    other = next((s for s in fitting[1:] if any(float(s.read(t)) != float(first.read(t)) for t in sample)), None)
    return first, other


def _is_even(spelling: NumberSpelling, texts: Collection[str]) -> bool:
    """Whether all numbers have as many decimals, or none ends in a zero that others leave out.

    127.917 beside 249.800 and 590 are thousands: nobody writes decimals so.
    """
    decimals = [spelling.read(text).partition(".")[2] for text in texts if _fits(spelling, text)]
    return len(set(map(len, decimals))) < 2 or not any(len(digits) > 1 and digits.endswith("0") for digits in decimals)


def decimal_mark(spelling: NumberSpelling, texts: Collection[str]) -> str | None:
    """The mark before decimals that these texts prove, None where they have neither decimals nor thousands."""
    if any(spelling.decimal in text for text in texts):
        return spelling.decimal
    if spelling.thousands in (",", ".") and any(spelling.thousands in text for text in texts):
        return "." if spelling.thousands == "," else ","
    return None


def _shapes(found: Sequence[re.Match[str]], prefix: str, suffix: str) -> list[NumberSpelling]:
    """The spellings to try, the likeliest first."""
    signs = {match["sign"] for match in found} | {match["inner"] for match in found}
    minus = "−" if "−" in signs else "-"
    inner = any(match["inner"] for match in found) and bool(prefix)
    sign = Sign.INNER if inner else Sign.FIRST
    if any(match["trail"] for match in found):
        sign = Sign.LAST
    if any(match["open"] and match["close"] for match in found):
        sign = Sign.BRACKETS
    bodies = [match["body"] for match in found]
    bare = any(body[0] in ".," for body in bodies)
    marks = {mark for body in bodies for mark in body if not mark.isdigit()}
    pairs = [(".", ""), (".", ","), (",", ""), (",", ".")]
    pairs += [(point, mark) for mark in sorted(marks - {".", ","}) for point in (",", ".")]
    powers = [match["exponent"] for match in found if match["exponent"]]
    if powers and len(powers) == len(found):
        return _exponents(found, powers, prefix, suffix, minus, "+" in signs)
    shapes = []
    for point, mark in pairs:
        if mark and mark not in marks:
            continue
        if point == "," and "," not in marks and mark != ".":
            continue  # nothing to tell it by
        for indian in (False, True) if mark == "," else (False,):
            shapes.append(
                NumberSpelling(
                    decimal=point, thousands=mark, indian=indian, prefix=prefix, suffix=suffix, sign=sign, minus=minus,
                    plus="+" in signs, bare=bare, plus_zero=_signed_zero(found),
                )
            )  # fmt: skip
    return shapes


def _signed_zero(found: Sequence[re.Match[str]]) -> bool:
    """Whether zero has a plus sign, as positive numbers have."""
    zeros = [match for match in found if not match["body"].strip("0.,")]
    return any(match["sign"] == "+" or match["inner"] == "+" for match in zeros)


def _powered(found: Sequence[re.Match[str]]) -> NumberSpelling | None:
    """The spelling of numbers with different powers of ten behind them, such as 950, 1.2K and 3.4M."""
    marks = {match["suffix"] for match in found}
    prefixes = {match["prefix"] for match in found}
    if len(marks) < 2 or len(prefixes) > 1 or not {mark.strip() for mark in marks} <= {"", *_POWERS}:
        return None
    powers = sorted(((mark, _POWERS.get(mark.strip(), 0)) for mark in marks), key=lambda one: -one[1])
    if len({power for _, power in powers}) < len(powers):
        return None
    bodies = [match["body"] for match in found if match["suffix"].strip()]
    places = max(len(re.split("[.,]", body)[1]) if re.search("[.,]", body) else 0 for body in bodies)
    point = "," if any("," in body for body in bodies) else "."
    minus = "−" if any("−" in match[0] for match in found) else "-"
    plus = any("+" in match[0] for match in found)
    return NumberSpelling(
        decimal=point, prefix=prefixes.pop(), minus=minus, plus=plus, mantissa=places, powers=tuple(powers)
    )


def _shortest(number: Decimal) -> str:
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _exponents(
    found: Sequence[re.Match[str]], powers: Sequence[str], prefix: str, suffix: str, minus: str, plus: bool
) -> list[NumberSpelling]:
    """Spellings with an exponent in every text. One without a mark before it is a code such as 2E5, no number."""
    places = {len(re.split("[.,]", match["body"])[1]) if re.search("[.,]", match["body"]) else 0 for match in found}
    if len(places) > 1 or places == {0}:
        return []
    point = "," if any("," in match["body"] for match in found) else "."
    digits = min(len(power.lstrip("eE+-")) for power in powers)
    exponent = (powers[0][0], any("+" in power for power in powers), digits)
    return [
        NumberSpelling(
            decimal=point, prefix=prefix, suffix=suffix, minus=minus, plus=plus, mantissa=places.pop(),
            exponent=exponent,
        )
    ]  # fmt: skip


def _is_affix(text: str, front: bool = False) -> bool:
    """Whether a currency or, behind the number, a unit."""
    word = text.strip(_BLANKS)
    if not word or (len(word) <= 4 and any(unicodedata.category(mark) == "Sc" for mark in word)):
        return True
    return word in (*_CURRENCIES, *_MARKS) if front else word in _AFFIXES


def _fits(shape: NumberSpelling, text: str) -> bool:
    try:
        shape.read(text)
    except (ValueError, InvalidOperation, OverflowError):
        return False
    return True


def _count(shape: NumberSpelling, texts: Sequence[str]) -> int:
    return sum(_fits(shape, text) for text in texts)


def _grouped(whole: str, mark: str, indian: bool) -> str:
    if not indian or len(whole) <= 3:
        return f"{int(whole):,}".replace(",", mark) if whole == str(int(whole)) else whole
    head, tail = whole[:-3], whole[-3:]
    if whole.startswith("0"):
        return whole
    pairs = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    return mark.join([*pairs, tail])
