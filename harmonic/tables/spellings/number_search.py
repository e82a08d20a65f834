"""Finds how the numbers of a column are written, from its texts. A spelling fits only if it gives every text back."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Sequence

from harmonic.tables.spellings.numbers import BLANKS, NumberSpelling, Sign, parts_of_number
from harmonic.tables.spellings.spelling import count_fitting, fits

_CURRENCIES = (
    "EUR USD GBP CHF JPY CNY SEK NOK DKK PLN CZK HUF RON BGN TRY RUB INR BRL MXN CAD AUD NZD ZAR KRW SGD HKD "
    "kr Kr kr. zł Kč Ft lei R$ Fr Fr. Rs Rs. Euro euro"
).split()
_UNITS = (
    "% ‰ ° °C °F K kg g mg µg t lb lbs oz km m cm mm mi ft in l L ml mL dl h min s ms kWh MWh W kW MW V A Hz MHz GHz "
    "mmHg bpm mg/dl mg/dL mmol/l mmol/L km/h mph m² m2 km² ha px pt x k M m B bn Mio Mio. Mrd Mrd."
).split()
_MARKS = "± ~ ≈ ca. c.".split()  # before a number that is not exact
_POWERS = {
    "K": 3, "k": 3, "tsd": 3, "Tsd.": 3, "M": 6, "m": 6, "Mio": 6, "Mio.": 6, "B": 9, "b": 9, "bn": 9, "Mrd": 9,
    "Mrd.": 9, "T": 12,
}  # fmt: skip
_AFFIXES = {*_CURRENCIES, *_UNITS, *_POWERS}
_MOST_OTHERS = 5  # different texts that are not numbers, if all others have an unknown unit
_OWN_UNIT = re.compile(rf"[{BLANKS}][^\W\d_]{{2,12}}([{BLANKS}][^\W\d_]{{1,12}})?|/[^\W\d_]{{1,8}}")
"""Units that are in no list, but after every number of a column: " sqft", " sq ft", "/mo"."""


def find_numbers(
    values: Collection[str], decimal: str | None = None
) -> tuple[NumberSpelling | None, NumberSpelling | None]:
    """The spelling of most of the distinct texts, and a second one that fits as well but gives other numbers, if any.

    Both are None if fewer than half of the texts are numbers. `decimal`: the mark before decimals ("." or ","), if it
    is known.
    """
    found = _with_known_affixes(values)
    if not found or len(found) * 2 < len(values):
        return None, None
    powered = _powered(found)
    if powered is not None and count_fitting(powered, [match[0] for match in found]) * 2 >= len(values):
        return powered, None
    affixes = Counter((match["prefix"], match["suffix"]) for match in found)
    (prefix, suffix), _ = affixes.most_common(1)[0]
    found = [match for match in found if (match["prefix"], match["suffix"]) == (prefix, suffix)]
    texts = [match[0] for match in found]
    counts = {shape: count_fitting(shape, texts) for shape in _shapes(found, prefix, suffix)}
    best = max(counts.values(), default=0)
    if not best or best * 2 < len(values):
        return None, None
    fitting = [shape for shape, count in counts.items() if count == best]
    fitting.sort(key=lambda shape: not _is_even(shape, texts))
    if decimal is not None:
        fitting.sort(key=lambda shape: decimal_mark(shape, texts) not in (decimal, None))
    first = fitting[0]
    sample = [text for text in texts if fits(first, text)]
    other = next((s for s in fitting[1:] if any(float(s.read(t)) != float(first.read(t)) for t in sample)), None)
    return first, other


def _with_known_affixes(values: Collection[str]) -> list[re.Match[str]]:
    """The parts of the texts that are numbers with a currency or a unit, or with one unknown unit in all of them."""
    found = [match for text in values if (match := parts_of_number(text))]
    suffixes = {match["suffix"] for match in found}
    own = suffixes.pop() if len(found) >= len(values) - _MOST_OTHERS and len(suffixes) == 1 else ""
    if not _OWN_UNIT.fullmatch(own):
        own = ""
    return [m for m in found if _is_affix(m["prefix"], front=True) and (_is_affix(m["suffix"]) or m["suffix"] == own)]


def _is_even(spelling: NumberSpelling, texts: Collection[str]) -> bool:
    """Whether all numbers have the same number of decimals, or none has a final zero that others leave out.

    So 127.917 together with 249.800 and 590 are thousands: decimals are not written like this.
    """
    decimals = [spelling.read(text).partition(".")[2] for text in texts if fits(spelling, text)]
    return len(set(map(len, decimals))) < 2 or not any(len(digits) > 1 and digits.endswith("0") for digits in decimals)


def decimal_mark(spelling: NumberSpelling, texts: Collection[str]) -> str | None:
    """The mark before decimals that these texts prove; None if they have neither decimals nor thousands."""
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
            continue  # nothing shows it
        for indian in (False, True) if mark == "," else (False,):
            shapes.append(
                NumberSpelling(
                    decimal=point, thousands=mark, indian=indian, prefix=prefix, suffix=suffix, sign=sign, minus=minus,
                    plus="+" in signs, bare=bare, plus_zero=_signed_zero(found),
                )
            )  # fmt: skip
    return shapes


def _signed_zero(found: Sequence[re.Match[str]]) -> bool:
    """Whether zero has a plus sign, like positive numbers."""
    zeros = [match for match in found if not match["body"].strip("0.,")]
    return any(match["sign"] == "+" or match["inner"] == "+" for match in zeros)


def _powered(found: Sequence[re.Match[str]]) -> NumberSpelling | None:
    """The spelling of numbers with different powers of ten after them, such as 950, 1.2K and 3.4M."""
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


def _exponents(
    found: Sequence[re.Match[str]], powers: Sequence[str], prefix: str, suffix: str, minus: str, plus: bool
) -> list[NumberSpelling]:
    """Spellings with an exponent in every text. Without a decimal mark, a text such as 2E5 is a code, not a number."""
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
    """Whether the text is a currency or, after the number, a unit; or nothing."""
    word = text.strip(BLANKS)
    if not word or (len(word) <= 4 and any(unicodedata.category(mark) == "Sc" for mark in word)):
        return True
    return word in (*_CURRENCIES, *_MARKS) if front else word in _AFFIXES
