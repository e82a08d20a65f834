"""Values that name someone, known by their pattern alone: e-mail addresses, IBANs, card numbers."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping


def _is_address(text: str) -> bool:
    if text.count(".") != 3 and text.count(":") < 2:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_iban(text: str) -> bool:
    from stdnum import iban

    return bool(re.fullmatch(r"[A-Z]{2}\d{2}[ A-Z0-9]{11,40}", text)) and bool(iban.is_valid(text))


def _is_card(text: str) -> bool:
    from stdnum import luhn

    digits = re.sub("[ -]", "", text)
    return bool(re.fullmatch(r"\d{13,19}", digits)) and bool(luhn.is_valid(digits))


def _is_phone(text: str) -> bool:
    if not re.fullmatch(r"(\+|00)\d[\d ()/.-]{6,20}", text):
        return False
    import phonenumbers

    try:
        number = phonenumbers.parse("+" + text.lstrip("+0"), None)
    except phonenumbers.NumberParseException:
        return False
    return bool(phonenumbers.is_possible_number(number))


PATTERNS: Mapping[str, Callable[[str], bool]] = {
    "an e-mail address": lambda text: bool(re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}", text)),
    "a UUID": lambda text: bool(re.fullmatch(r"(?i)\{?[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\}?", text)),
    "an IBAN": _is_iban,
    "a social security number": lambda text: bool(re.fullmatch(r"\d{3}-\d{2}-\d{4}", text)),
    "an IP address": _is_address,
    "a hardware address": lambda text: bool(re.fullmatch(r"(?i)[0-9a-f]{2}([:-][0-9a-f]{2}){5}", text)),
    "a phone number": _is_phone,
    "a card number": _is_card,
}
"""What each pattern is, and whether a text has it."""
_SHORT_NUMBER = re.compile(r"[+-]?\d{0,12}(\.\d*)?")
_BY_CHANCE = {"a card number": 0.8}  # one number in ten passes the check of a card number


def count_patterns(values: Collection[str]) -> Counter[str]:
    """How many of the distinct values have each pattern; a pattern that values may have by chance is left out."""
    counts: Counter[str] = Counter()
    for text in values:
        text = text.strip()
        if not 7 <= len(text) <= 254 or text.isalpha() or _SHORT_NUMBER.fullmatch(text):
            continue
        for pattern, fits in PATTERNS.items():
            if fits(text):
                counts[pattern] += 1
                break
    for pattern, share in _BY_CHANCE.items():
        if counts[pattern] < share * len(values):
            del counts[pattern]
    return counts


def with_patterns(values: Collection[str]) -> list[str]:
    """The distinct values that have one of these patterns."""
    patterns = count_patterns(values)
    return [text for text in values if any(PATTERNS[pattern](text.strip()) for pattern in patterns)]
